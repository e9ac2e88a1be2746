"""Files of benchmarks are learned from: what training needs of a network is looked up, the rest counted."""

import csv
from dataclasses import asdict

import pytest

from broker.benchmark_row import COLUMNS, BenchmarkRow
from controller.cli.app import run
from controller.predict import imported, readings
from controller.predict.rows import select, sets_in, stack

RUNTIME = "tflite"


@pytest.fixture
def measured():
    """The rows of a Raspberry Pi 4 with its newest runtime, as they come with EdgeWatt."""
    rows, _ = select(readings.shipped(), "raspberry_pi_4", RUNTIME)
    return rows.to_dict("records")


def write(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows({name: "" if value is None else value for name, value in asdict(row).items()} for row in rows)


def benchmark(row, **changes):
    return BenchmarkRow(
        **{
            "model": row["model"],
            "latency_avg_s": row["latency_mean_ms"] / 1e3,
            "energy_mj": row["energy_mj"] * 3,
            "device": "my_board",
            "runtime": RUNTIME,
            "version": "LiteRT 2.1",
        }
        | changes
    )


def test_what_was_imported_is_learned_from_with_the_architecture_that_its_names_mean(measured, tmp_path, capsys):
    write(tmp_path / "runs.csv", [benchmark(row) for row in measured])
    out = tmp_path / "rows.csv"
    assert run(["data", "import", str(tmp_path / "runs.csv"), "--out", str(out), "--quiet"]) == 0
    said = []
    table, _ = readings.read([out], beside=True, say=said.append)
    mine = table[table["board"] == "my_board"].set_index("model")

    assert said == []
    assert len(mine) == len(measured)
    for row in measured:
        learned = mine.loc[row["model"]]
        assert learned["energy_mj"] == pytest.approx(3 * row["energy_mj"])
        for name in (
            "arch_key",
            "family",
            "input_res",
            "quantized",
            "params_m",
            "gmacs",
            "macts_m",
            "n_convs",
            "size_mb",
        ):
            assert learned[name] == row[name]
    assert ("my_board", RUNTIME) in sets_in(table)
    assert stack(table).y.shape[1] == 13
    capsys.readouterr()


def test_rows_that_cannot_be_learned_from_are_counted_by_reason_and_named_with_their_file(measured, tmp_path):
    row = next(each for each in measured if "quantized" in each["model"])
    rows = [
        benchmark(row),
        benchmark(row, model="nobody_knows_it"),
        benchmark(row, energy_mj=None),
        benchmark(row, runtime=""),
        benchmark(row, model="resnet18"),
        benchmark(row, params_m=2 * row["params_m"]),
        benchmark(row, input_res=row["input_res"] + 32),
        benchmark(row, error="out of memory"),
    ]
    write(tmp_path / "runs.csv", rows)
    said = []
    table, _ = readings.read([tmp_path / "runs.csv"], say=said.append)

    assert table["model"].tolist() == [row["model"]]
    assert len(said) == 7
    assert all(sentence.startswith("runs.csv: 1 of 8 rows left out: ") for sentence in said)


def test_names_of_timm_are_known_with_source_tag_and_variant(measured, tmp_path):
    row = measured[0]
    names = ["hf_hub:timm/mobilenetv2_100.ra_in1k", "timm/efficientnet_b0", "mobilenetv2_100-int8"]
    write(tmp_path / "runs.csv", [benchmark(row, model=name) for name in names])
    table, _ = readings.read([tmp_path / "runs.csv"])

    assert table["arch_key"].tolist() == ["mobilenetv2_100", "efficientnet_b0", "mobilenetv2_100"]
    assert table["quantized"].tolist() == [0, 0, 1]
    assert table["size_mb"].tolist() == pytest.approx([4 * 3.504872, 4 * 5.288548, 3.504872], rel=1e-5)


def test_a_board_with_networks_of_its_own_takes_no_other_board_away_and_it_is_said():
    table = readings.shipped()
    own = table[(table["board"] == "raspberry_pi_4") & (table["runtime"] == RUNTIME)].head(90)
    strangers = own.assign(board="my_board", model=[f"net{n}" for n in range(len(own))])
    both = readings.pd.concat([table, strangers], ignore_index=True)

    assert sets_in(both) == sets_in(table)
    (sentence,) = imported.unlearned(both, set(table["board"]), RUNTIME)
    assert "90 rows of my_board" in sentence
    assert "calibrate" in sentence


def test_imported_files_that_are_not_asked_for_are_named(tmp_path, capsys):
    folder = tmp_path / "measurements"
    folder.mkdir()
    (folder / "runs.csv").write_text("not read")

    assert run(["predictors", "train", "--device", "no_board", "--controller-data", str(tmp_path)]) == 2
    assert f"add --data {folder / 'runs.csv'}" in capsys.readouterr().err
