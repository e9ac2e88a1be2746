from dataclasses import astuple
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import InvalidError
from controller.models import listed

ROW = {
    "name": "tinynet",
    "family": "tinynet",
    "pretrained": "in1k",
    "params_m": "1.5",
    "gmacs": "0.1",
    "macts_m": "2.5",
    "dw_gmacs": "0.02",
    "n_convs": "20",
    "input_res": "224",
    "top1_pct": "60.5",
    "top1_source": "timm results, tinynet.in1k at 224",
    "gmacs_published": "0.1",
    "note": "",
    "popular": "1",
}


def table(path: Path, *rows: dict[str, str], columns=listed.COLUMNS) -> Path:
    lines = [",".join(columns), *(",".join(f'"{row[name]}"' for name in columns) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def refusal(path: Path) -> InvalidError:
    with pytest.raises(InvalidError) as caught:
        listed.read(path)
    return caught.value


def test_a_row_becomes_a_model_with_the_features_that_a_predictor_asks_for(tmp_path):
    (model,) = listed.read(table(tmp_path / "m.csv", ROW)).values()

    assert (model.name, model.weights, model.popular, model.top1_pct) == ("tinynet", "tinynet.in1k", True, 60.5)
    assert (model.features.params_m, model.features.gmacs, model.features.size_mb) == (1.5, 0.1, 6.0)
    assert (model.features.macts_m, model.features.dw_gmacs, model.features.n_convs) == (2.5, 0.02, 20)


def test_what_is_empty_is_absent_and_not_zero(tmp_path):
    empty = dict.fromkeys(("pretrained", "macts_m", "top1_pct", "top1_source", "gmacs_published"), "")
    (model,) = listed.read(table(tmp_path / "m.csv", ROW | empty)).values()

    assert (model.pretrained, model.macts_m, model.top1_pct, model.top1_source) == (None, None, None, None)
    assert model.gmacs_published is None
    assert model.weights == "tinynet"


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("name", "../etc"),
        ("params_m", "many"),
        ("params_m", "-1"),
        ("gmacs", "nan"),
        ("gmacs", ""),
        ("n_convs", "2.5"),
        ("input_res", "0"),
        ("dw_gmacs", "9"),
        ("top1_pct", "101"),
        ("top1_source", ""),
        ("popular", "yes"),
    ],
)
def test_a_wrong_figure_is_refused_with_its_line_and_column(tmp_path, column, text):
    error = refusal(table(tmp_path / "m.csv", ROW | {"name": "first"}, ROW | {column: text}))

    assert f"m.csv, line 3, column {column}" in error.message
    assert error.facts["field"] == column
    assert error.hint


def test_a_table_without_a_column_a_torn_line_and_a_name_twice_are_refused(tmp_path):
    short = table(tmp_path / "short.csv", ROW, columns=[name for name in listed.COLUMNS if name != "gmacs"])
    torn = table(tmp_path / "torn.csv", ROW)
    torn.write_text(torn.read_text(encoding="utf-8") + "resnet18,resnet\n", encoding="utf-8")

    assert "line 1: the column gmacs is missing" in refusal(short).message
    assert "line 3: 2 fields" in refusal(torn).message
    assert "line 3, column name: tinynet is there twice" in refusal(table(tmp_path / "two.csv", ROW, ROW)).message


def test_a_file_that_is_missing_or_no_text_is_refused(tmp_path):
    (tmp_path / "m.bin").write_bytes(b"name\xff\xfe")

    assert "cannot read" in refusal(tmp_path / "no.csv").message
    assert "m.bin is no table of models" in refusal(tmp_path / "m.bin").message


@given(
    cells=st.fixed_dictionaries({name: st.text(st.characters(codec="utf-8"), max_size=12) for name in listed.COLUMNS})
)
def test_any_row_is_a_model_or_refused_with_its_line(cells, tmp_path_factory):
    path = tmp_path_factory.mktemp("any") / "m.csv"
    escaped = {name: text.replace('"', '""') for name, text in cells.items()}
    try:
        models = listed.read(table(path, escaped))
    except InvalidError as error:
        assert "m.csv" in error.message
    else:
        assert all(model.features for model in models.values())


def test_the_shipped_table_holds_well_known_networks_in_the_order_of_their_names():
    models = listed.load()

    assert {"resnet18", "mobilenetv3_small_050", "efficientnet_b0"} <= models.keys()
    assert list(models) == sorted(models)
    assert all(model.name == name and astuple(model) for name, model in models.items())
    assert models["resnet18"].gmacs == pytest.approx(1.8141, rel=1e-3)
    assert len([model for model in models.values() if model.popular]) >= 15


def test_the_table_is_read_once():
    assert listed.load() is listed.load()
