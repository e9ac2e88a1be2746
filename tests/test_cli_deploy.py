"""Deploying from the command line: the gate is asked first, refusals say what would fit, waiting returns the result."""

import json
import re
import subprocess
import sys
import threading

import pytest

from controller.cli.exits import Exit
from tests.dashboard.fake_controller import FakeController


class Finishing(FakeController):
    """Ends what was deployed as `ends` says, per device."""

    def __init__(self, **kwargs):
        self.ends = {}
        super().__init__(**kwargs)

    def add(self, device, model, **kwargs):
        made = super().add(device, model, **kwargs)
        if end := self.ends.get(device["id"]):
            phase, code = end
            made.update(phase=phase, code=code, terminal=True, reason="as it was told")
        return made


@pytest.fixture
def fake():
    with Finishing(count=5) as running:
        yield running


def deployed(fake):
    return [body["device_id"] for _, path, body in fake.writes if path == "/api/deploy" and not body.get("dry_run")]


def test_a_dry_run_prints_the_plan_and_sends_nothing(edgewatt, fake):
    code, out, _ = edgewatt("deploy", "digits_cnn_s", "--to", "line=A", "--energy-mj", "100", "--dry-run")

    assert code == Exit.DONE
    assert "fits" in out
    assert deployed(fake) == []


def test_a_plan_that_the_gate_refuses_in_part_deploys_nothing_and_says_what_would_fit(edgewatt, fake):
    code, out, err = edgewatt(
        "deploy", "digits_cnn_l", "--to", "line=A", "--to", "line=B", "--energy-mj", "120", "--yes"
    )

    assert code == Exit.REFUSED
    assert "beaglebone_black" in out
    assert re.search("x the budget; would fit: .*digits_cnn_s", out)
    assert "of 5 devices are not within budget" in err
    assert "add --only-fitting" in err
    assert deployed(fake) == []


def test_only_fitting_leaves_the_others_out(edgewatt, fake):
    words = ("deploy", "digits_cnn_l", "--to", "line=A", "--to", "line=B", "--energy-mj", "120", "--yes")

    code, _, _ = edgewatt(*words, "--only-fitting")

    assert code == Exit.DONE
    assert deployed(fake) == ["jetson-1", "pi5-1", "pi5-2"]


def test_one_device_is_refused_in_the_words_of_the_gate(edgewatt):
    code, _, err = edgewatt("deploy", "digits_cnn_l", "--to", "bbb-1", "--energy-mj", "5", "--yes", "--json")

    said = json.loads(err)
    assert code == said["exit_code"] == Exit.REFUSED
    assert said["code"] == "over_budget"
    assert said["error"].startswith("refused: digits_cnn_l is predicted to cost")
    assert "would fit: digits_mlp" in said["error"]
    assert said["devices"][0]["would_fit"][0]["model"] == "digits_mlp"


def test_an_unknown_figure_says_how_to_measure(edgewatt):
    code, out, _ = edgewatt("deploy", "other_model", "--to", "pi5-1", "--energy-mj", "5", "--dry-run")

    assert code == Exit.REFUSED
    assert "measure first: edgewatt devices measure pi5-1 other_model" in out


def test_force_needs_a_reason(edgewatt, fake):
    code, _, err = edgewatt("deploy", "digits_cnn_l", "--to", "bbb-1", "--energy-mj", "5", "--force", "--yes")

    assert code == Exit.USAGE
    assert "--reason" in err
    assert fake.writes == []


def test_a_forced_deployment_carries_its_reason(edgewatt, fake):
    words = ("deploy", "digits_cnn_l", "--to", "bbb-1", "--energy-mj", "5", "--yes")

    code, _, _ = edgewatt(*words, "--force", "--reason", "field test on the 3rd")

    assert code == Exit.DONE
    assert fake.writes[-1][2]["reason"] == "field test on the 3rd"


def test_a_budget_in_mwh_is_a_run_of_500_inferences(edgewatt, fake):
    edgewatt("deploy", "digits_mlp", "--to", "pi5-1", "--max-energy", "50", "--dry-run")

    assert fake.writes[-1][2]["max_energy_mj"] == 360


def test_two_budgets_are_one_too_many(edgewatt):
    assert edgewatt("deploy", "m", "--to", "pi5-1", "--max-energy", "50", "--energy-mj", "5")[0] == Exit.USAGE


@pytest.mark.parametrize("budget", ["nan", "inf", "1e309"])
def test_a_budget_that_is_no_figure_is_a_sentence(edgewatt, fake, budget):
    code, _, err = edgewatt("deploy", "digits_cnn_s", "--to", "pi5-1", "--energy-mj", budget, "--yes")

    assert code == Exit.USAGE
    assert "no figures" in err
    assert deployed(fake) == []


def test_deploying_asks_and_there_is_nobody(edgewatt, fake):
    code, _, err = edgewatt("deploy", "digits_mlp", "--to", "pi5-1")

    assert code == Exit.USAGE
    assert "--yes" in err
    assert deployed(fake) == []


def test_a_tag_that_nobody_has_is_not_found(edgewatt):
    assert edgewatt("deploy", "digits_mlp", "--to", "line=Z")[0] == Exit.NOT_FOUND


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (("succeeded", ""), Exit.DONE),
        (("rolled_back", "over_budget"), Exit.PARTLY),
        (("failed", "checksum"), Exit.FAILED),
        (("rejected", "over_budget"), Exit.REFUSED),
        (("rejected", "unsupported"), Exit.FAILED),
        (("timed_out", ""), Exit.TIMED_OUT),
    ],
)
def test_waiting_returns_the_code_of_the_result(edgewatt, fake, end, expected):
    fake.ends["pi5-1"] = end

    code, out, err = edgewatt("deploy", "digits_mlp", "--to", "pi5-1", "--yes", "--wait")

    assert code == expected
    assert end[0] in out
    assert f"pi5-1: {end[0]} as it was told" in err


def test_different_ends_are_partly_failed(edgewatt, fake):
    fake.ends |= {"pi5-1": ("succeeded", ""), "jetson-1": ("failed", "checksum")}

    assert edgewatt("deploy", "digits_mlp", "--to", "line=A", "--yes", "--wait")[0] == Exit.PARTLY


def test_waiting_too_long_says_that_it_goes_on(edgewatt):
    code, _, err = edgewatt("deploy", "digits_mlp", "--to", "pi5-1", "--yes", "--wait", "--timeout", "0")

    assert code == Exit.TIMED_OUT
    assert "it goes on: edgewatt deployments watch dep-" in err


def test_ctrl_c_while_waiting_says_that_it_goes_on(fake):
    words = [sys.executable, "-m", "controller.cli", "deploy", "digits_mlp", "--to", "pi5-1", "--yes", "--wait"]
    with subprocess.Popen([*words, "--controller", fake.url], stderr=subprocess.PIPE, text=True) as process:
        first = process.stderr.readline()
        process.send_signal(2)
        err = process.stderr.read()

    assert first == "pi5-1: sent\n"
    assert process.returncode == Exit.INTERRUPTED
    assert "it goes on: edgewatt deployments watch dep-" in err


def test_watching_follows_to_the_end(edgewatt, fake):
    moving = fake.add(
        fake.find("pi4-1"),
        "digits_mlp",
        events=[{"at": 1.0, "phase": "probing", "reason": "", "who": "device", "attempt": 1, "seq": 4}],
    )
    end = threading.Timer(0.5, moving.update, kwargs={"phase": "succeeded", "terminal": True})
    end.start()

    code, _, err = edgewatt("deployments", "watch", moving["id"])
    end.join()

    assert code == Exit.DONE
    assert err.splitlines() == ["pi4-1: probing", "pi4-1: succeeded"]


def test_what_has_ended_cannot_be_cancelled(edgewatt, fake):
    ended = fake.deployments[0]["id"]

    code, _, err = edgewatt("deployments", "cancel", ended, "--yes")

    assert code == Exit.FAILED
    assert "has ended already" in err
    assert fake.writes == []


def test_the_life_of_a_deployment_is_shown(edgewatt, fake):
    rolled_back = fake.deployments[0]["id"]

    _, out, _ = edgewatt("deployments", "show", rolled_back)

    assert "rolling_back" in out
    assert "above the budget of 80 mJ" in out


def test_what_waits_says_when_it_goes_on_and_what_it_was_bound_to(edgewatt, fake):
    waits = {"at": 1.0, "phase": "waiting", "reason": "the battery has 12 %, it begins at 40 %"}
    made = fake.add(fake.devices[0], "digits_cnn_s", events=[waits])
    made["eta"] = 4e9
    made.update(latency_ms=30.0, when={"soc_min_pct": 40.0})
    _, out, _ = edgewatt("deployments", "show", made["id"])

    said = " ".join(out.split())
    assert "12 %, it begins at 40 %; goes on in about" in said
    assert "battery at 40 % or more" in said
    assert "p95 30 ms" in said
