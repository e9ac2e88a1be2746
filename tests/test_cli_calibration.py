"""Calibrating and the ledger from the command line, on a controller of this process behind a real socket."""

import json

import pytest

from broker.errors import InvalidError
from controller.cli.app import run
from controller.cli.calibration_commands import read_rows
from controller.cli.exits import Exit
from tests.dashboard import fake_controller, fake_fleet

CALIBRATION = {
    "id": "c1",
    "device_id": "pi5-1",
    "state": "done",
    "since": 1.0,
    "reason": None,
    "ended": True,
    "measured": 1,
    "total": 2,
    "before_percent": 66.7,
    "after_percent": 4.2,
    "models": [
        {"model": "digits_mlp", "outcome": "measured", "energy_mj": 2.0, "source": "pmic", "reason": None},
        {"model": "digits_cnn_l", "outcome": "skipped", "energy_mj": None, "source": None, "reason": "no memory"},
    ],
}
CORRECTION = {
    "id": 3,
    "at": 1.0,
    "origin": "calibration",
    "simulated": False,
    "current": True,
    "undone_at": None,
    "runs": 3,
    "before_percent": 66.7,
    "after_percent": 4.2,
    "cost_ratio": 3.0,
    "sentence": "pi5-1 calibrated by its own benchmarks",
}
FIGURES = {"n": 1, "mape_percent": 8.0, "median_ape_percent": 8.0, "bias_percent": -8.0, "coverage_percent": 100.0}
PART = {**FIGURES, "per_device_type": {"raspberry_pi_5": FIGURES}, "per_family": {}, "by_age": []}
LEDGER = {
    "entries": [
        {
            "device_id": "pi5-1",
            "model": "digits_mlp",
            "predicted_mj": 4.6,
            "low_mj": 4.0,
            "high_mj": 6.0,
            "actual_mj": 5.0,
            "source": "simulated",
            "counts_as_truth": False,
            "error_percent": -8.0,
            "inside": True,
            "at": 1.0,
        }
    ],
    "summary": {**PART, "simulated": PART},
    "drift": [
        {
            "device_id": "pi5-1",
            "model": "digits_mlp",
            "by_percent": 61.0,
            "alarm": True,
            "baseline_mj": 5.0,
            "source": "pmic",
            "since": 1.0,
        }
    ],
}


@pytest.fixture
def writes():
    """What was sent, oldest first."""
    return []


@pytest.fixture
def edgewatt(writes, monkeypatch, capsys):
    def begin(_fake, _device, body, **_):
        writes.append(body)
        return 202, {"calibration": CALIBRATION, "correction": CORRECTION}

    def deed(_fake, _device, word, **_):
        writes.append(word)
        return 200, {"calibration": CALIBRATION, "correction": CORRECTION, "undone": CORRECTION}

    def show(_fake, _device, **_):
        return 200, {"calibration": CALIBRATION, "correction": CORRECTION, "history": [CORRECTION]}

    def predict(_fake, body, **_):
        writes.append(body)
        return 200, {"data": [fake_fleet.predicted(each["model_name"], each["device_type"]) for each in body]}

    more = [
        ("POST", r"/api/devices/([^/]+)/calibrate", begin),
        ("POST", r"/api/devices/([^/]+)/calibrate/(cancel|undo)", deed),
        ("GET", r"/api/devices/([^/]+)/calibration", show),
        ("GET", "/api/ledger", lambda _fake, **_: (200, LEDGER)),
        ("POST", "/api/predict-energy", predict),
    ]
    monkeypatch.setattr(fake_controller, "ROUTES", [*more, *fake_controller.ROUTES])
    with fake_controller.FakeController(count=5) as fake:
        monkeypatch.setenv("EDGEWATT_CONTROLLER_URL", fake.url)
        fake.devices[0]["calibration"] = {"id": 3}

        def call(*words):
            code = run(words)
            out, err = capsys.readouterr()
            return code, out, err

        call.first = fake.devices[0]["id"]
        yield call


def test_a_calibration_is_followed_to_its_end(edgewatt, writes):
    code, out, err = edgewatt("devices", "calibrate", "pi5-1", "--models", "digits_mlp, digits_cnn_l", "--wait")

    assert code == Exit.DONE
    assert writes == [{"models": ["digits_mlp", "digits_cnn_l"], "rows": []}]
    assert "1 of 2" in out
    assert "no memory" in out
    assert "calibrated by its own benchmarks" in err


@pytest.mark.parametrize("word", ["cancel", "undo"])
def test_a_calibration_is_cancelled_or_taken_back(edgewatt, writes, word):
    code, _, _ = edgewatt("devices", "calibrate", "pi5-1", f"--{word}", "--json")

    assert (code, writes) == (Exit.DONE, [word])


def test_its_history_is_shown(edgewatt):
    code, out, _ = edgewatt("devices", "calibrate", "pi5-1", "--show")

    assert code == Exit.DONE
    assert "66.7 %" in out


def test_two_deeds_at_once_are_a_mistake(edgewatt):
    code, _, err = edgewatt("devices", "calibrate", "pi5-1", "--undo", "--cancel")

    assert code == Exit.USAGE
    assert "exclude each other" in err


def test_a_file_is_sent_as_rows(edgewatt, writes, tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("model,energy_mj,source,n_convs,quantized\ndigits_mlp,1.5,usb_meter,3,yes\n")

    code, _, _ = edgewatt("devices", "calibrate", "pi5-1", "--csv", str(path))

    row = {"model_name": "digits_mlp", "source": "usb_meter", "energy_mj": 1.5, "n_convs": 3, "quantized": True}
    assert (code, writes[0]["rows"]) == (Exit.DONE, [row])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("model,energy\na,1\n", "energy_mj"),
        ("model,energy_mj\na,1 mJ\n", "line 2"),
        ("", "energy_mj"),
        (None, "cannot read"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused(tmp_path, content, words):
    path = tmp_path / "runs.csv"
    if content is not None:
        path.write_text(content)

    with pytest.raises(InvalidError, match=words):
        read_rows(path)


def test_the_ledger_marks_what_no_meter_measured(edgewatt):
    _, out, _ = edgewatt("ledger", "list")

    assert out.splitlines()[1].split()[-7:-4] == ["no", "-8.0", "%"]


def test_the_summary_keeps_simulated_figures_apart_and_names_who_drifts(edgewatt):
    _, out, _ = edgewatt("ledger", "summary")
    _, as_json, _ = edgewatt("ledger", "summary", "--json")

    assert "simulated devices, no truth" in out
    assert "+61 %" in out
    assert json.loads(as_json)["drift"][0]["alarm"] is True


def test_a_calibrated_device_is_predicted_as_itself(edgewatt, writes):
    _, out, _ = edgewatt("predict", "digits_cnn_s", "--on", edgewatt.first)

    assert writes[0][0]["device_id"] == edgewatt.first
    assert out.splitlines()[1].split()[0] == edgewatt.first
