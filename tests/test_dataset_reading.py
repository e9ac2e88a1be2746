"""Files of measurements are read as people have them: numbers, headers, delimiters, encodings; others are refused."""

import string
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.benchmark_row import COLUMNS
from broker.errors import InvalidError
from controller.dataset import figures
from controller.dataset.cases import Told
from controller.dataset.headers import understand
from controller.dataset.reference import taken_apart
from controller.dataset.table import opened, read
from controller.dataset.units import UNITS, scale
from tests.importing import import_of, only


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("12.5", 12.5, ""),
        (" -3e2 ", -300, ""),
        ("1,5", 1.5, ""),
        ("0,123", 0.123, ""),
        ("1,234.5", 1234.5, ""),
        ("1.234,5", 1234.5, ""),
        ("1,234,567", 1234567, ""),
        ("1 234 567,25", 1234567.25, ""),
        ("1'234'567", 1234567, ""),
        ("1.2k", 1.2, "k"),
        ("11.7M", 11.7, "m"),
        ("12.3 ms", 12.3, "ms"),
        ("4 µJ", 4, "µj"),
        ("−2", -2, ""),
    ],
)
def test_a_figure_is_read_as_people_write_it(text, value, unit):
    assert figures.read(text) == (pytest.approx(value), unit)


@pytest.mark.parametrize("text", ["", "n/a", "NaN", " - ", "None", "#N/A"])
def test_a_word_for_nothing_is_nothing(text):
    assert figures.read(text) is None


@pytest.mark.parametrize("text", ["twelve", "1.2.3", "12,34,5", "1e999", "inf", "--5", "9" * 400, "5 %", "=A1"])
def test_what_is_no_finite_number_is_refused(text):
    with pytest.raises(InvalidError):
        figures.read(text)


def test_a_number_that_could_be_two_is_refused_unless_the_file_tells():
    with pytest.raises(InvalidError, match=r"1\.234 or 1234"):
        figures.read("1,234")
    assert figures.read("1,234", decimal_comma=True).value == 1.234
    assert figures.read("1,234", decimal_comma=False).value == 1234
    with pytest.raises(InvalidError, match="could be"):
        figures.read("1.234", decimal_comma=True)


@given(st.text(max_size=80))
def test_any_text_is_a_finite_figure_nothing_or_refused(text):
    try:
        found = figures.read(text)
    except InvalidError as error:
        assert error.code in {"not_a_number", "ambiguous_number"}
    else:
        assert found is None or abs(found.value) < float("inf")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_what_python_writes_is_read_back(value):
    assert figures.read(repr(value)).value == value


@given(st.integers(0, 10**9), st.integers(0, 99))
def test_thousands_and_both_decimal_marks_mean_the_same(whole, hundredths):
    english = f"{whole:,}.{hundredths:02}"
    german = english.translate(str.maketrans(",.", ".,"))

    assert figures.read(english).value == figures.read(german, decimal_comma=True).value


@given(st.sampled_from([(kind, unit) for kind, units in UNITS.items() for unit in units]), st.floats(1e-6, 1e6))
def test_a_unit_is_the_same_in_the_header_and_in_the_cell(kind_and_unit, value):
    kind, unit = kind_and_unit
    found = figures.read(f"{value!r} {unit}")

    assert scale(kind, found.unit).of(found.value) == scale(kind, unit).of(value)


def test_our_own_columns_are_all_understood_as_themselves():
    fields = {name: understand(name) for name in COLUMNS}

    assert {name: meaning.field for name, meaning in fields.items()} == {
        name: "energy" if name == "energy_mj" else name for name in COLUMNS
    }
    assert fields["energy_mj"].basis == "inference"


@pytest.mark.parametrize(
    ("header", "meaning"),
    [
        ("Latency (ms)", ("latency_avg_s", "ms", "")),
        ("latency[s]", ("latency_avg_s", "s", "")),
        ("latencyMs", ("latency_avg_s", "ms", "")),
        ("mean latency ms", ("latency_avg_s", "ms", "")),
        ("Energy [mJ/inference]", ("energy", "mj", "inference")),
        ("Energy per run (Wh)", ("energy", "wh", "run")),
        ("energy_total_mwh", ("energy", "mwh", "run")),
        ("energy_avg_mwh", ("energy", "mwh", "")),
        ("Power (W)", ("power_avg_mw", "w", "")),
        ("#Params", ("params_m", "", "")),
        ("Params (M)", ("params_m", "m", "")),
        ("FLOPs (G)", ("gflops", "g", "")),
        ("MMACs", ("gmacs", "m", "")),
        ("model size (MiB)", ("size_mb", "mib", "")),
        ("FPS", ("throughput_iter_per_s", "", "")),
        ("Model Name", ("model", "", "")),
        ("# iterations", ("iterations", "", "")),
        ("total params (M)", ("params_m", "m", "")),
        ("latency per inference (ms)", ("latency_avg_s", "ms", "")),
    ],
)
def test_a_header_tells_quantity_unit_and_basis(header, meaning):
    found = understand(header)

    assert (found.field, found.unit, found.basis) == meaning


@pytest.mark.parametrize(
    "header",
    [
        "runs",
        "power_std_w",
        "latency_p90_ms",
        "latency_min",
        "latency_total_ms",
        "macts_m",
        "top1",
        "notes",
        "",
        "energy_std_j",
    ],
)
def test_what_is_not_ours_is_not_read(header):
    assert understand(header) is None


@given(st.text(string.printable, max_size=40))
def test_any_header_is_understood_or_not(header):
    understand(header)


def test_names_of_the_same_network_are_the_same():
    names = ("resnet18", "resnet18.a1_in1k", "timm/resnet18.tv_in1k", "hf_hub:timm/resnet18.a1_in1k", " ResNet18 ")

    assert {taken_apart(name).network for name in names} == {"resnet18"}
    assert taken_apart("mobilenet-v1-0.25-128").network == "mobilenet-v1-0.25-128"
    assert taken_apart("resnet18d__b4__224") == taken_apart("resnet18d__b4__224.a1_in1k".removesuffix(".a1_in1k"))
    assert (taken_apart("resnet18d__b4__224").batch, taken_apart("resnet18d__b4__224").input_res) == (4, 224)


ROWS = "model,energy_mj,latency_ms\nresnet18,120.5,40\nresnet50,300.25,90\n"


@pytest.mark.parametrize(
    "data",
    [
        ROWS.encode(),
        b"\xef\xbb\xbf" + ROWS.encode(),
        ROWS.encode("utf-16"),
        ROWS.replace(",", ";").encode(),
        ROWS.replace(",", ";").replace(".", ",").encode(),
        ROWS.replace(",", "\t").encode(),
        ROWS.replace(",", "|").replace("\n", "\r\n").encode(),
        ("# measured in May\n\n" + ROWS).encode(),
        (ROWS + "\n,,\n").encode(),
        ROWS.replace("energy_mj", "Énergie,energy_mj")
        .replace("18,", "18,é,")
        .replace("50,3", "50,,3")
        .encode("cp1252"),
    ],
    ids=["plain", "bom", "utf-16", "semicolon", "comma decimals", "tab", "crlf", "comment", "blank lines", "cp1252"],
)
def test_however_a_table_was_saved_its_rows_are_the_same(data):
    done = import_of(data)

    assert [(row.model, row.energy_mj, row.latency_avg_s) for row in done.rows] == [
        ("resnet18", 120.5, 0.04),
        ("resnet50", 300.25, 0.09),
    ]


def test_lines_are_numbered_as_an_editor_does():
    done = import_of('# note\nmodel,energy_mj,latency_ms\n"resnet18",120,40\n\n"x\ny",120,40\nresnet50,300,90\n')

    assert [case.line for case in done.cases] == [3, 5, 7]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"PK\x03\x04rest", "Excel"),
        (b"\xd0\xcf\x11\xe0rest", "old Excel"),
        (b"\x1f\x8b\x08", "gzipped"),
        (b"abc\0def\n", "binary"),
        (b"<!DOCTYPE html><html></html>", "a web page"),
        (b"\xef\xbb\xbf<html>", "a web page"),
        (b'{"rows": []}', "JSON"),
        (b"model\nresnet18\n", "one column"),
        (b"model,energy_mj,energy_mj\nx,1,2\n", "two columns"),
        (b"model,energy_mj\n", "no rows"),
        (b"modell,energy_mj\nx,1\n", "'modell' is nearest: call it model"),
        (b"model,colour\nx,1\n", "an energy, a latency or a duration"),
        (b"model,energy\nx,1\n", "names no unit"),
        (b"model,latency\nx,1\n", "names no unit"),
        (b'model,energy_mj\n"x' + b"y" * 200_000 + b'",1\n', "line 2"),
        (b"\x81\x8d\x8f,\x9d\nx,y\n", "no encoding"),
    ],
)
def test_what_is_no_table_of_measurements_is_refused_with_what_it_is(data, words):
    with pytest.raises(InvalidError) as refused:
        import_of(data)

    assert words in f"{refused.value.message} {refused.value.hint}"
    assert refused.value.hint


def test_a_missing_column_is_said_with_what_was_looked_for_and_found():
    with pytest.raises(InvalidError, match=r"looked for model, model_name.*found nett, energy_mj"):
        import_of("nett,energy_mj\nx,1\n")


def test_a_file_of_nobody_knows_which_board_is_refused():
    with pytest.raises(InvalidError, match="on which board"):
        import_of(ROWS, Told())


def test_a_file_that_is_not_there_or_too_large_is_refused(tmp_path):
    with pytest.raises(InvalidError, match="No such file"):
        read(tmp_path / "none.csv")
    with (tmp_path / "huge.csv").open("wb") as file:
        file.truncate(200_000_000)
    with pytest.raises(InvalidError, match="200 MB"):
        read(tmp_path / "huge.csv")


def test_units_that_no_header_tells_are_told_by_the_values():
    assert only("model,params,energy_mj,latency_ms\nresnet18,11689512,120,40\n").row.params_m == 11.689512
    assert only("model,params,energy_mj,latency_ms\nx,5000,120,40\n").row.params_m == 0.005
    assert only("model,flops,energy_mj,latency_ms\nx,3640000000,120,40\n").row.gflops == 3.64
    assert only("model,latency,fps,energy_mj\nx,40,25,120\n").row.latency_avg_s == 0.04
    assert only("model,latency,fps,energy_mj\nx,0.04,25,120\n").row.latency_avg_s == 0.04
    assert only("model,latency,energy_mj\nx,40 ms,120\n").row.latency_avg_s == 0.04


def test_mb_that_are_mib_are_told_by_files_that_would_hold_less_than_their_weights():
    header = "model,size_mb,energy_mj,latency_ms\n"
    names = {
        "resnet18": 44.59,
        "resnet50": 97.49,
        "efficientnet_b0": 20.17,
        "mobilenetv3_large_100": 20.92,
        "vgg11": 506.83,
    }
    in_mib = import_of(header + "".join(f"{name},{size},120,40\n" for name, size in names.items()))
    in_mb = import_of(header + "".join(f"{name},{size * 1.048576},120,40\n" for name, size in names.items()))

    assert in_mib.rows[0].size_mb == pytest.approx(46.756, abs=0.01)
    assert [row.size_mb for row in in_mb.rows] == pytest.approx([row.size_mb for row in in_mib.rows])
    assert next(column for column in in_mib.layout.columns if column.meaning.field == "size_mb").told_by != "header"


def test_many_rows_take_bounded_memory():
    line = "net_{},12.5,40.25,500,11.7\n"
    data = ("model,energy_mj,latency_ms,iterations,params_m\n" + "".join(map(line.format, range(4_000)))).encode()
    table = opened(data, "many.csv")
    tracemalloc.start()
    rows = sum(1 for _ in table.lines())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert rows == 4_000
    assert peak < 2 * len(data)
