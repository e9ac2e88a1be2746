"""Real files with real faults are imported with the figures that are known of them; skipped where they are not."""

import csv
from collections import Counter
from pathlib import Path

import pytest

from controller.dataset.case import Status
from controller.dataset.cases import Told
from controller.dataset.importing import imported
from controller.dataset.known import known
from controller.dataset.reference import Network, taken_apart
from tests.importing import found, import_of

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
JETSON = DATA / "thesis" / "247_models_benchmark_jetson.csv"
PI5 = DATA / "thesis" / "27_models_benchmark_rpi5.csv"
MLPERF = DATA / "mlperf_edge_energy.csv"
pytestmark = pytest.mark.skipif(not DATA.exists(), reason="the measured data lies beside the checkout, or is not there")

SWAPPED = {
    *("convit_tiny", "convnext_tiny", "deit_small_patch16_224", "densenet121", "edgenext_small", "efficientnet_b0"),
    *("efficientnet_b1", "gmlp_ti16_224", "inception_v3", "inception_v4", "levit_128", "levit_192", "mixer_s32_224"),
    *("mnasnet_small", "mobilenetv2_100", "mobilenetv3_small_100", "resmlp_12_224", "resnet18", "resnet34"),
    *("resnet50", "resnext50_32x4d", "swin_tiny_patch4_window7_224", "vit_tiny_patch16_224"),
}


@pytest.fixture(scope="module")
def published():
    """What timm publishes of its networks, by architecture."""
    found: dict[str, tuple[float, dict[int, float]]] = {}
    with (DATA / "timm_models.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            _, sizes = found.setdefault(row["arch"], (float(row["params_m"]), {}))
            if row["gmacs"]:
                sizes.setdefault(int(row["img_size"]), float(row["gmacs"]))
    return {
        name: Network(name=name, params_m=params_m, gmacs_at=sizes)
        for name, (params_m, sizes) in found.items()
        if sizes
    }


@pytest.fixture(scope="module")
def jetson(published):
    return imported(JETSON, Told(device="jetson_nano_2gb"), published.get)


def having(done, code):
    return [case for case in done.cases if code in found(case)]


def test_the_23_rows_with_swapped_columns_are_found_and_repaired(jetson, published):
    swapped = having(jetson, "swapped")

    assert {case.row.model for case in swapped} == SWAPPED
    assert len(swapped) == 23
    for case in swapped:
        assert case.status is Status.REPAIRED
        assert case.row.params_m == pytest.approx(published[case.row.model].params_m, rel=0.01)


def test_the_three_rows_whose_parameters_are_off_are_found(jetson):
    assert [case.row.model for case in having(jetson, "params_off")] == [
        "beit_base_patch16_224",
        "ghostnet_100",
        "mobilenetv3_large_100",
    ]
    assert having(jetson, "params_contradict") == []


def test_the_78_rows_below_the_board_s_idle_power_are_set_aside(jetson):
    below = having(jetson, "power_below_idle")

    assert len(below) == 78
    assert {case.status for case in below} == {Status.REJECTED}
    assert all(row.energy_mj / row.latency_avg_s >= 2_100 for row in jetson.rows)


def test_the_catalogue_that_comes_with_edgewatt_finds_the_same_in_what_it_lists():
    done = imported(JETSON, Told(device="jetson_nano_2gb"), known)

    assert {case.row.model for case in having(done, "swapped")} == {name for name in SWAPPED if known(name)}
    assert len(having(done, "power_below_idle")) == 78
    assert having(done, "params_contradict") == having(done, "macs_contradict") == []


def test_no_rule_repairs_what_timm_publishes_of_the_networks_that_are_listed():
    header = "model,params_m,gflops,gmacs,size_mb,input_res,latency_ms,energy_mj,source\n"
    with (DATA / "timm_models.csv").open(newline="") as file:
        lines = [
            f"{row['model']},{row['params_m']},{2 * float(row['gmacs'])},{row['gmacs']},{4 * float(row['params_m'])},"
            f"{row['img_size']},40,200,{number}\n"
            for number, row in enumerate(csv.DictReader(file))
            if row["gmacs"] and known(taken_apart(row["model"]).network)
        ]
    done = import_of(header + "".join(lines), known=known)

    assert len(lines) > 100
    assert [(case.row.model, found(case)) for case in done.cases if case.status is not Status.ACCEPTED] == []


def test_every_row_of_the_jetson_file_ends_somewhere_and_energies_are_of_one_inference(jetson):
    assert Counter(case.status for case in jetson.cases) == {
        Status.ACCEPTED: 34,
        Status.REPAIRED: 96,
        Status.REJECTED: 118,
    }
    first = jetson.cases[0]
    assert first.row.energy_mj == pytest.approx(286.5004899 * 3_600 / 500)
    assert len(having(jetson, "batch")) == 40
    assert len(having(jetson, "halved_macs")) == 34


def test_energies_of_the_raspberry_pi_file_stay_those_of_runs_until_somebody_tells_their_length(published):
    done = imported(PI5, Told(device="raspberry_pi_5"), published.get)
    told = imported(PI5, Told(device="raspberry_pi_5", iterations=500), published.get)

    assert done.rows == []
    assert [found(case)[-1] for case in done.cases] == ["inferences_unknown"] * 27
    assert done.cases[0].energy_run_mj == pytest.approx(12.629341 * 3_600)
    assert len(told.rows) == 27
    assert told.rows[0].energy_mj == pytest.approx(12.629341 * 3_600 / 500)


def test_all_2080_rows_of_mlperf_are_accepted_with_their_energies_as_they_are(published):
    done = imported(MLPERF, Told(), published.get)
    with MLPERF.open(newline="") as file:
        given = list(csv.DictReader(file))

    assert Counter(case.status for case in done.cases) == {Status.ACCEPTED: 2_080}
    for row, was in zip(done.rows, given, strict=True):
        assert row.energy_mj == pytest.approx(float(was["energy_mj"]), rel=1e-12)
        assert row.latency_avg_s == pytest.approx(float(was["latency_mean_ms"]) / 1e3, rel=1e-12)
        assert row.power_avg_mw == pytest.approx(float(was["power_mean_w"]) * 1e3, rel=1e-12)
        assert (row.params_m, row.gmacs, row.size_mb) == tuple(
            float(was[name]) for name in ("params_m", "gmacs", "size_mb")
        )
