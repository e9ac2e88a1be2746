"""Every row of an imported file ends accepted, repaired or rejected, for a reason that is told."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.benchmark_row import COLUMNS
from broker.errors import InvalidError
from controller.dataset.case import Status
from controller.dataset.cases import Told
from controller.dataset.known import known
from controller.dataset.rules import SAYS
from controller.dataset.writing import write_rows
from controller.models import listed
from controller.predict import published
from tests.importing import NETWORKS, PI, found, import_of, only

NANO = Told(device="jetson_nano_2gb")
HEADER = "model,params_m,gflops,gmacs,size_mb,input_res,latency_ms,throughput_iter_per_s,energy_mj\n"
RESNET18 = "resnet18,11.69,3.63,1.81,46.8,224,40,25,200\n"
RUN = "model,iterations,latency_ms,energy_mwh\n"


def test_a_right_row_is_accepted_as_it_is():
    case = only(HEADER + RESNET18)

    assert case.status is Status.ACCEPTED
    assert case.findings == ()
    assert (case.row.energy_mj, case.row.latency_avg_s, case.row.device) == (200, 0.04, "raspberry_pi_4")


def test_swapped_columns_are_put_back_and_gflops_are_twice_the_macs_that_stood_there():
    case = only(HEADER + "resnet18,1.8191,11.6895,1.82,44.68,224,40,25,200\n")

    assert case.status is Status.REPAIRED
    assert (case.row.params_m, case.row.gflops, case.row.gmacs) == (11.6895, pytest.approx(3.6382), 1.82)
    assert [(each.field, each.before, each.after) for each in case.findings] == [
        ("params_m", 1.8191, 11.6895),
        ("gflops", 11.6895, pytest.approx(3.6382)),
    ]


def test_flops_where_parameters_belong_are_put_back_as_they_are():
    case = only(HEADER + "resnet18,3.638,11.6895,1.82,44.68,224,40,25,200\n")

    assert (case.row.params_m, case.row.gflops) == (11.6895, 3.638)


@pytest.mark.parametrize(
    ("gflops", "gmacs", "codes"),
    [
        (3.63, 1.81, []),
        (3.3, 1.6, []),
        (1.81, 0.905, ["halved_macs"]),
        (1.81, 1.81, ["halved_macs"]),
        (3.63, 3.63, ["doubled_macs"]),
        (7.2, 3.6, ["doubled_macs"]),
        (0.2, 0.1, ["macs_off"]),
        (9.0, 1.81, ["macs_off"]),
    ],
)
def test_operations_are_those_that_the_network_needs(gflops, gmacs, codes):
    case = only(HEADER + f"resnet18,11.69,{gflops},{gmacs},46.8,224,40,25,200\n")

    assert found(case) == codes
    assert case.row.gmacs == pytest.approx(1.814, rel=0.13)
    assert case.row.gflops == pytest.approx(2 * case.row.gmacs, rel=0.15)


def test_operations_of_another_input_size_are_brought_to_the_one_it_ran_at():
    case = only(HEADER + "efficientnet_b5,30.39,9.9,4.95,115.9,224,140,7.08,900\n")

    assert case.row.gmacs == pytest.approx(9.9 * (224 / 456) ** 2, rel=0.13)
    assert case.row.gflops == pytest.approx(2 * case.row.gmacs, rel=0.15)


def test_parameters_that_the_file_s_size_contradicts_are_the_catalogue_s():
    case = only(HEADER + "mobilenetv3_large_100,4.18,0.43,0.22,22.24,224,40,25,200\n")

    assert found(case) == ["params_off"]
    assert case.row.params_m == 5.483032


def test_a_variant_whose_file_holds_as_many_parameters_as_it_says_is_left_alone():
    case = only(HEADER + "mobilenetv3_large_100,4.21,0.43,0.22,16.9,224,40,25,200\n")

    assert case.status is Status.ACCEPTED
    assert found(case) == ["variant"]


def test_parameters_that_nothing_explains_set_the_row_aside():
    assert found(only(HEADER + "resnet18,7.0,3.63,1.81,46.8,224,40,25,200\n")) == ["params_off"]
    assert found(only(HEADER + "resnet18,7.0,3.63,1.81,60,224,40,25,200\n")) == ["params_contradict"]
    assert found(only(HEADER + "resnet18,7.0,3.63,1.81,,224,40,25,200\n")) == ["params_contradict"]


def test_parameters_in_single_ones_under_a_header_that_says_millions_are_brought_to_millions():
    case = only(HEADER + "resnet18,11690,3.63,1.81,46.8,224,40,25,200\n")

    assert found(case) == ["params_unit"]
    assert case.row.params_m == 11.69


def test_a_stranger_keeps_its_own_figures_and_it_is_said():
    case = only(HEADER + "my_net,1.8191,11.6895,0.3,44.68,224,40,25,200\n")

    assert (case.status, found(case)) == (Status.ACCEPTED, ["unknown_model"])
    assert (case.row.params_m, case.row.gflops, case.row.gmacs) == (1.8191, 11.6895, 0.3)


def test_energy_of_a_run_is_divided_by_its_inferences():
    case = only(RUN + "resnet18,500,95.0826,89.9452\n", NANO)

    assert case.status is Status.ACCEPTED
    assert case.row.energy_mj == pytest.approx(89.9452 * 3_600 / 500)
    assert case.energy_run_mj == pytest.approx(89.9452 * 3_600)


def test_energy_of_a_run_of_unknown_many_inferences_is_kept_and_set_aside():
    text = "model,energy_mwh,duration_s\nresnet18,16.0,16.2\n"
    done = import_of(text)
    told = import_of(text, Told(device="raspberry_pi_4", iterations=500))

    assert (done.rows, found(done.cases[0])) == ([], ["inferences_unknown"])
    assert done.cases[0].energy_run_mj == 16 * 3_600
    assert told.rows[0].energy_mj == pytest.approx(16 * 3_600 / 500)
    assert told.rows[0].latency_avg_s == pytest.approx(16.2 / 500)
    assert found(told.cases[0]) == ["latency_from_duration"]


def test_the_inferences_of_a_run_are_told_by_duration_and_latency_when_the_rows_agree():
    lines = [f"net{n},{n * 0.5},{n * 0.5 * 1.004},{n}\n" for n in range(1, 8)]
    agree = import_of("model,energy_mwh,duration_s,latency_ms\n" + "".join(lines))
    differ = import_of(
        "model,energy_mwh,duration_s,latency_ms\n"
        + "".join(line.replace(",", f",{i}", 1) for i, line in enumerate(lines)).replace("0.502", "9.9")
        + "x,3,900,1\ny,3,11,1\n"
    )

    assert agree.told.iterations in range(500, 505)
    assert len(agree.rows) == 7
    assert differ.told.iterations is None
    assert differ.rows == []


def test_inferences_that_duration_and_latency_contradict_set_the_row_aside():
    case = only("model,iterations,latency_ms,duration_s,energy_run_mwh\nresnet18,500,95,12,90\n")

    assert found(case) == ["inferences_unknown"]


def test_the_measured_power_tells_whether_an_energy_is_of_a_run():
    header = "model,iterations,latency_ms,power_w,energy_j\n"

    assert only(header + "resnet18,100,40,5,0.2\n").row.energy_mj == 200
    assert only(header + "resnet18,100,40,5,20\n").row.energy_mj == 200
    assert found(only(header + "resnet18,100,40,5,3\n")) == ["inferences_unknown"]


@pytest.mark.parametrize(
    ("latency_ms", "rate", "codes", "latency_s"),
    [
        (40, 25, [], 0.04),
        (0.04, 25, ["latency_unit"], 0.04),
        (40_000, 25, ["latency_unit"], 0.04),
        (20_000, 25, ["latency_is_duration"], 0.04),
        (40, 12, ["latency_contradicts_throughput"], 0.04),
    ],
)
def test_latency_and_throughput_agree(latency_ms, rate, codes, latency_s):
    text = f"model,iterations,latency_ms,throughput_iter_per_s,energy_mj\nresnet18,500,{latency_ms},{rate},200\n"
    case = only(text)

    assert found(case) == codes
    assert case.row.latency_avg_s == pytest.approx(latency_s)


def test_a_latency_that_agrees_with_the_throughput_is_not_taken_for_a_duration():
    header = "model,iterations,latency_s,duration_s,throughput_iter_per_s,energy_mj\n"

    assert found(only(header + "resnet18,500,0.05,0.05,20,200\n")) == []


def test_what_a_repair_would_make_impossible_is_set_aside():
    case = only("model,latency_ms,power_mw,energy_mj\nresnet18,0.1,14000,1400\n", Told(device="my_board"))

    assert found(case) == ["power_unit", "impossible_figure"]


def test_a_latency_taken_from_the_run_s_duration_is_held_against_the_throughput_too():
    header = "model,iterations,duration_s,throughput_iter_per_s,energy_run_mwh\n"

    assert found(only(header + "resnet18,500,20,25,30\n")) == ["latency_from_duration"]
    assert "latency_contradicts_throughput" in found(only(header + "resnet18,500,20,1,30\n"))


def test_a_latency_as_long_as_the_run_is_divided_by_its_inferences():
    case = only("model,iterations,latency_s,duration_s,energy_run_mwh\nresnet18,500,20.1,20,30\n")

    assert found(case) == ["latency_is_duration"]
    assert case.row.latency_avg_s == pytest.approx(0.0402)
    assert case.row.energy_mj == pytest.approx(216)


@pytest.mark.parametrize(
    ("told", "watts", "codes"),
    [
        (NANO, 2.0, ["power_below_idle"]),
        (NANO, 2.2, []),
        (NANO, 14.9, []),
        (NANO, 15.1, ["power_above_supply"]),
        (PI, 1.6, ["power_below_idle"]),
        (Told(device="my_board"), 0.2, []),
    ],
)
def test_power_is_what_the_board_can_draw(told, watts, codes):
    case = only(f"model,latency_ms,energy_mj\nresnet18,100,{watts * 100}\n", told)

    assert found(case) == codes
    assert (case.status is Status.REJECTED) == bool(codes)


def test_a_row_s_own_idle_power_counts_and_a_meter_of_a_part_is_not_held_against_the_whole_board():
    header = "model,latency_ms,energy_mj,power_idle_mw,meter\n"

    assert found(only(header + "resnet18,100,150,1400,usb\n")) == []
    assert found(only(header + "resnet18,100,300,3100,usb\n")) == ["power_below_idle"]
    assert found(only(header + "resnet18,100,80,,rapl\n")) == []


def test_energy_is_power_times_latency_and_watts_called_milliwatts_are_seen():
    header = "model,latency_ms,power_mw,energy_mj\n"

    assert found(only(header + "resnet18,100,4100,400\n")) == []
    assert only(header + "resnet18,100,4,400\n").row.power_avg_mw == 4_000
    assert found(only(header + "resnet18,100,3000,400\n")) == ["energy_contradicts_power"]


@pytest.mark.parametrize(
    ("energy", "latency", "codes"),
    [
        ("-3", "40", ["impossible_figure"]),
        ("0", "40", ["impossible_figure"]),
        ("1e15", "40", ["impossible_figure"]),
        ("much", "40", ["not_a_number"]),
        ('"1,234"', "40", ["ambiguous_number"]),
        ("inf", "40", ["not_a_number"]),
        ("nan", "40", ["no_energy"]),
        ("n/a", "", ["nothing_measured"]),
        ("200", "-1", ["impossible_figure"]),
    ],
)
def test_figures_that_cannot_be_are_told_from_absent_ones(energy, latency, codes):
    case = only(f"model,energy_mj,latency_ms\nresnet18,{energy},{latency}\n")

    assert found(case) == codes
    assert (case.status is Status.ACCEPTED) == (codes == ["no_energy"])


def test_a_figure_beside_the_measurement_that_cannot_be_is_left_empty():
    case = only("model,energy_mj,latency_ms,params_m,input_res\nresnet18,200,40,-1,224x300\n")

    assert case.status is Status.REPAIRED
    assert (case.row.params_m, case.row.input_res) == (None, None)
    assert [each.before for each in case.findings] == ["-1", "224x300"]


def test_without_the_size_of_the_input_operations_are_not_touched():
    header = "model,params_m,gmacs,energy_mj,latency_ms\n"
    at_160, as_listed = (only(header + f"resnet18,11.69,{gmacs},200,40\n") for gmacs in (0.93, 1.81))

    assert (at_160.status, found(at_160), at_160.row.gmacs) == (Status.ACCEPTED, ["size_unknown"], 0.93)
    assert found(as_listed) == []


def test_a_file_that_holds_the_row_s_own_parameters_is_a_variant_even_where_it_could_hold_the_catalogue_s():
    case = only("model,params_m,size_mb,energy_mj,latency_ms\nresnet18,23.4,46.8,200,40\n")

    assert (case.status, found(case), case.row.params_m) == (Status.ACCEPTED, ["variant"], 23.4)


def test_files_without_their_heads_are_not_taken_for_mib():
    header = "model,size_mb,energy_mj,latency_ms\n"
    shares = dict(zip(NETWORKS, (0.956, 0.92, 0.97, 0.93, 0.98, 0.96), strict=True))
    done = import_of(
        header + "".join(f"{n},{4 * NETWORKS[n].params_m * share},200,40\n" for n, share in shares.items())
    )

    assert all(column.told_by == "header" for column in done.layout.columns)


def test_an_energy_that_is_likely_of_one_inference_is_not_divided_but_set_aside():
    case = only("model,iterations,latency_ms,energy_mwh\nresnet18,500,100,0.14\n", NANO)

    assert found(case) == ["inferences_unknown"]
    assert "of one inference 5 W" in case.findings[0].because


def test_what_ran_in_fp16_has_a_name_of_its_own():
    done = import_of("model,precision,energy_mj,latency_ms\nresnet18,fp32,200,40\nresnet18,fp16,120,25\n")

    assert [row.model for row in done.rows] == ["resnet18", "resnet18-fp16"]
    assert found(done.cases[1]) == ["half_precision"]


def test_one_of_the_rows_of_the_same_network_is_kept_and_it_is_said_which():
    header = "model,energy_mj,latency_ms,input_res\n"
    done = import_of(
        header
        + "hf_hub:timm/resnet18.a1_in1k,200,40,224\nresnet18,201,40,\ntimm/resnet18.tv_in1k,199,40,224\n"
        + "resnet18,150,40,160\nresnet18-int8,90,20,224\nresnet50,400,80,224\n"
    )

    assert [row.energy_mj for row in done.rows] == [200, 150, 90, 400]
    assert [found(case) for case in done.cases[1:3]] == [["duplicate"]] * 2
    assert "line 2" in done.cases[1].findings[0].because


def test_the_second_of_two_counts_when_the_first_cannot():
    done = import_of("model,energy_mj,latency_ms\nresnet18,-1,40\nresnet18,200,40\n")

    assert [case.status for case in done.cases] == [Status.REJECTED, Status.ACCEPTED]


def test_runs_that_the_file_tells_apart_are_no_duplicates():
    done = import_of("model,energy_mj,latency_ms,timestamp\nresnet18,200,40,2026-01-01\nresnet18,204,40,2026-01-02\n")

    assert len(done.rows) == 2


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("model,energy_mj,latency_ms\n,200,40\n", "no_model"),
        ("model,energy_mj,latency_ms\nresnet18,200\n", "ragged"),
        ("model,energy_mj,latency_ms,device\nresnet18,200,40,\n", "no_board"),
        ("model,energy_mj,latency_ms\nresnet18,200,40,7\n", "ragged"),
        ("model,energy_mj,latency_ms,error\nresnet18,,,out of memory\n", "failed_there"),
        ("model,energy_mj,latency_ms,batch\nresnet18,200,40,4\n", "batch"),
        ("model,energy_mj,latency_ms\nresnet18__b4__224,200,40\n", "batch"),
        ("model,energy_mj,latency_ms,board\nresnet18,200,40,odroid_n2\n", "other_board"),
    ],
)
def test_other_rows_that_do_not_count_say_why(text, code):
    case = only(text, Told() if code == "no_board" else PI)

    assert case.status is Status.REJECTED
    assert code in found(case)


def test_runs_of_nothing_say_nothing_of_their_average():
    assert only("model,iterations,energy_avg_mwh,energy_run1_mwh\nresnet18,500,30,0\n").status is Status.ACCEPTED


def test_an_average_that_is_not_that_of_its_runs_is_said():
    case = only("model,iterations,energy_avg_mwh,energy_run1_mwh,energy_run2_mwh\nresnet18,500,30,60,61\n")

    assert "average_contradicts_runs" in found(case)
    assert "50% below" in case.findings[-1].because or "50% below" in case.findings[0].because


CELLS = st.one_of(
    st.sampled_from(["resnet18", "resnet50", "hf_hub:timm/resnet18.a1_in1k", "my_net", "net__b4__224", "", "n/a", "0"]),
    st.floats(1e-3, 1e6).map(lambda value: f"{value:.4g}"),
    st.sampled_from(["-1", "nan", "1,5", "1,234", "3x224x224", "40 ms", "1.2k", "inf", "500", "int8", "odroid_n2"]),
    st.text(st.characters(blacklist_characters='"\r\n\0', blacklist_categories=["Cs"]), max_size=12),
)
NAMES = [*COLUMNS, "latency_ms", "energy_run_mwh", "energy_mwh", "duration_s", "flops", "batch", "energy_run1_mwh"]


@st.composite
def tables(draw):
    """A file with the columns that are needed and some others, and whatever in them."""
    header = ["model", "energy_mj", *draw(st.lists(st.sampled_from(NAMES[1:]), unique=True, max_size=8))]
    header = list(dict.fromkeys(header))
    models = st.sampled_from(["resnet18", "resnet50", "my_net", "timm/resnet18", "efficientnet_b5"])
    row = st.tuples(models, *[CELLS] * (len(header) - 1))
    rows = draw(st.lists(row, min_size=1, max_size=8))
    quoted = [",".join(f'"{cell}"' for cell in cells) for cells in (header, *rows)]
    return "\n".join(quoted) + "\n"


@settings(max_examples=60, deadline=None)
@given(tables())
def test_every_row_ends_in_one_of_three_and_what_stands_is_accepted_unchanged_the_next_time(text):
    told = Told(device="jetson_nano_2gb", iterations=500)
    done = import_of(text, told)

    assert len(done.cases) == text.count("\n") - 1
    assert sum(done.count(status) for status in Status) == len(done.cases)
    assert {code for code, _, _ in done.reasons()} <= set(SAYS)
    for case in done.cases:
        if case.status is not Status.ACCEPTED:
            assert any(str(finding.effect) == str(case.status) for finding in case.findings)
    for row in done.rows:
        assert row.energy_mj is None or math.isfinite(row.energy_mj)
    if done.rows:
        again = import_of(as_file(done), Told())
        assert [case.status for case in again.cases] == [Status.ACCEPTED] * len(done.rows)
        assert again.rows == done.rows


LIKELY = {
    "params_m": lambda net, *_: 4 * [net.params_m] + [net.params_m / 2, net.gmacs(None)],
    "gflops": lambda net, *_: [2 * net.gmacs(None), net.gmacs(None), net.params_m, net.gmacs(None) / 9],
    "gmacs": lambda net, *_: [net.gmacs(None), net.gmacs(None) / 2, 2 * net.gmacs(None)],
    "size_mb": lambda net, *_: [share * 4 * net.params_m for share in (1, 0.954, 1.02, 0.5)],
    "input_res": lambda *_: [224, 456, 160],
    "latency_s": lambda _, latency_s, __, runs: [latency_s, latency_s, latency_s * 1e3, latency_s * runs],
    "throughput_iter_per_s": lambda _, latency_s, *__: [1 / latency_s, 1 / latency_s, 3],
    "energy_mj": lambda _, latency_s, watts, __: [watts * latency_s * 1e3],
    "energy_mwh": lambda _, latency_s, watts, runs: [watts * latency_s * runs / 3.6, watts * latency_s / 3.6],
    "power_mw": lambda _, __, watts, ___: [watts * 1e3, watts],
    "iterations": lambda *few: [few[-1]],
    "duration_s": lambda _, latency_s, __, runs: [latency_s * runs, latency_s * runs * 1.3, latency_s * 3],
    "precision": lambda *_: ["fp32", "fp16", "int8"],
}
"""What stands in files by column: right, or wrong in one of the ways that are known."""


@st.composite
def likely_tables(draw):
    """A file whose figures belong together, but for some."""
    columns = draw(st.lists(st.sampled_from(sorted(LIKELY)), unique=True, min_size=3, max_size=10))
    lines = []
    for _ in range(draw(st.integers(1, 8))):
        net = draw(st.sampled_from(list(NETWORKS.values())))
        latency_s, watts, runs = (draw(st.sampled_from(some)) for some in ([0.01, 0.1], [1, 3, 14], [1, 500]))
        cells = [draw(st.sampled_from(LIKELY[column](net, latency_s, watts, runs))) for column in columns]
        lines.append([net.name, *map(str, cells)])
    return "".join(",".join(cells) + "\n" for cells in (["model", *columns, "at"], *numbered(lines)))


def numbered(lines):
    """Return `lines` each with a time of its own, so that none repeats another."""
    return [[*cells, f"2026-01-{day:02}"] for day, cells in enumerate(lines, 1)]


@settings(max_examples=100, deadline=None)
@given(likely_tables(), st.sampled_from(["jetson_nano_2gb", "my_board"]), st.sampled_from([None, 500]))
def test_likely_files_are_accepted_unchanged_the_next_time(text, device, iterations):
    try:
        done = import_of(text, Told(device=device, iterations=iterations))
    except InvalidError as error:
        assert error.hint
        return
    if done.rows:
        again = import_of(as_file(done), Told())
        assert [(found(case), case.status) for case in again.cases if case.status is not Status.ACCEPTED] == []
        assert again.rows == done.rows


def as_file(done):
    """Return the file that an import writes."""
    import tempfile  # noqa: PLC0415 - only here
    from pathlib import Path  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        write_rows(done.rows, path)
        return path.read_bytes()


def test_no_rule_touches_what_the_catalogue_itself_says():
    networks = {
        **NETWORKS,
        **{name: known(name) for name in [*listed.load(), *(each.name for each in published.networks())]},
    }
    lines = [
        f"{name},{each.params_m},{2 * gmacs},{gmacs},{4 * each.params_m},{res},40,25,200\n"
        for name, each in networks.items()
        for res, gmacs in each.gmacs_at.items()
    ]
    done = import_of(HEADER + "".join(lines), known=networks.get)

    assert len(lines) > 200
    assert [(case.row.model, found(case)) for case in done.cases if case.findings] == []
