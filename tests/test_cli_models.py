"""Commands about models: found among many, shown whole, predicted before they are made."""

import json
import re

import pytest

from controller.cli import model_tables
from controller.cli.exits import Exit
from tests.dashboard.fake_controller import FakeController


@pytest.fixture
def fake():
    with FakeController(count=5) as running:
        yield running


def test_the_store_comes_first_and_each_row_says_its_formats(edgewatt):
    code, out, _ = edgewatt("models", "list")
    rows = out.splitlines()

    assert code == Exit.DONE
    assert re.search(r"^digits_mlp +onnx +– +50 k +50 k +94.2 %", rows[1])
    assert re.search(r"^mobilenet_v1_untrained +onnx .* untrained", rows[4])
    assert re.search(r"^resnet18 +– +– +11.7 M +1.81 G +73.3 %", out, re.MULTILINE)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--matching", "CNN"), {"digits_cnn_s", "digits_cnn_l"}),
        (("--family", "resnet"), {"resnet18", "resnet10t"}),
        (("--popular",), {"resnet18", "mobilenetv3_small_100"}),
        (("--stored", "--matching", "net"), {"mobilenet_v1_untrained"}),
        (("--limit", "2", "--offset", "1"), {"digits_cnn_s", "digits_cnn_l"}),
    ],
)
def test_a_list_is_narrowed(edgewatt, words, expected):
    _, out, _ = edgewatt("models", "list", *words, "--json")

    assert {model["name"] for model in json.loads(out)["models"]} == expected


def test_what_is_not_shown_is_counted_and_how_to_see_it_is_told(edgewatt):
    _, out, err = edgewatt("models", "list", "--limit", "3")

    assert len(out.splitlines()) == 4
    assert "4 more: --offset 3" in err


def test_a_board_adds_the_energy(edgewatt):
    _, out, _ = edgewatt("models", "list", "--on", "raspberry_pi_5", "--matching", "resnet18")

    assert "544 mJ" in out


def test_an_order_that_is_none_is_refused(edgewatt):
    code, _, err = edgewatt("models", "list", "--sort", "beauty")

    assert code == Exit.USAGE
    assert "top1_pct" in err


def test_a_model_that_is_not_stored_is_shown_with_the_source_of_its_accuracy(edgewatt):
    _, out, _ = edgewatt("models", "show", "resnet18")

    assert "73.3 % (timm results, resnet18.fb_swsl_ig1b_ft_in1k at 224)" in out
    assert "in the store" not in out


def test_a_stored_model_is_shown_with_its_files(edgewatt):
    _, out, _ = edgewatt("models", "show", "digits_cnn_s")

    assert "in the store" in out
    assert re.search(r"onnx .* 1.3 MB .* [0-9a-f]{64}", out)


def test_the_longest_names_leave_room_for_the_figures_in_80_columns():
    widest = {"name": "x" * 36, "formats": ["onnx", "tflite"], "params_m": 0.0888, "gmacs": 0.888, "top1_pct": 88.888}
    table = model_tables.models([widest])
    (row,) = table.rows

    assert sum(max(len(cell), len(name)) + 2 for cell, name in zip(row, table.columns, strict=True)) - 2 <= 80


def test_a_golden_check_is_told_in_words():
    golden = {"max_abs": 2.4e-7, "top1_agreement": 1.0}
    artifact = {"format": "tflite", "variant": "fp32", "size": 4_200_000, "golden": golden, "sha256": "ab"}
    _, files = model_tables.model({"name": "net", "artifacts": [artifact]})

    assert files.rows[0][:5] == ("tflite", "fp32", "4.2 MB", "–", "2.4e-07 apart, 100% agree")
