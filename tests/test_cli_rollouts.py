"""Rollouts from the command line, against a whole controller: planned, asked about, followed, steered."""

import json

import pytest

from controller.cli.exits import Exit
from tests.rolling_fleet import MODEL, RollingFleet


@pytest.fixture(scope="module")
def fake(tmp_path_factory):
    fleet = RollingFleet(tmp_path_factory.mktemp("cli"))
    for line in "ABCDEFG":
        fleet.join(*(f"{line.lower()}{n}" for n in (1, 2, 3)), tags={"line": line})
    fleet.join("away", online=False, tags={"line": "A"})
    fleet.ends |= {"b1": "failed", "c1": None, "d1": None, "e2": "failed", "e3": "failed", "g1": "failed"}
    with fleet.served():
        yield fleet
    fleet.store.close()


def newest(edgewatt):
    code, out, _ = edgewatt("rollouts", "list", "--json")
    assert code == Exit.DONE
    return json.loads(out)["rollouts"][0]


def test_a_dry_run_prints_boards_and_waves_and_makes_nothing(edgewatt):
    code, out, err = edgewatt("deploy", MODEL, "--to", "line=A", "--plan", "1,100%", "--dry-run")

    assert (code, err) == (Exit.DONE, "")
    assert out.splitlines()[0].split() == ["board", "devices", "predicted", "budget", "verdict", "note"]
    assert [line.split()[:3] for line in out.splitlines() if line.startswith(("1 ", "2 "))] == [
        ["1", "1", "0"],
        ["2", "3", "1"],
    ]
    assert json.loads(edgewatt("rollouts", "list", "--json")[1])["total"] == 0


def test_deploy_with_a_plan_makes_a_rollout_and_follows_it_to_its_end(edgewatt):
    code, out, err = edgewatt(
        "deploy", MODEL, "--to", "line=A", "--plan", "1,100%", "--yes", "--wait", "--timeout", "30"
    )

    assert code == Exit.DONE
    assert "3 of 4 done, 1 away" in out
    assert "wave 1 of 2" in err
    rollout = newest(edgewatt)
    assert (rollout["who"], rollout["phase"], [wave["size"] for wave in rollout["waves"]]) == (
        "cli",
        "succeeded",
        [1, 3],
    )

    _, out, _ = edgewatt("rollouts", "show", rollout["id"])
    assert [line.split()[:3] for line in out.splitlines() if line.startswith("away ")][-1] == ["away", "is", "away"]


def test_what_the_gate_refuses_is_shown_with_what_would_fit(edgewatt):
    asked = ("digits_cnn_l", "--to", "line=B", "--energy-mj", "40", "--plan", "100%", "--yes")
    code, out, err = edgewatt("deploy", *asked)
    assert code == Exit.REFUSED
    assert "would fit: digits_cnn_s" in out
    assert "3 of 3 devices may not get the model" in err

    code, out, err = edgewatt("deploy", *asked, "--json")
    assert (code, out) == (Exit.REFUSED, "")
    assert json.loads(err)["plan"]["excluded_count"] == 3


def test_a_bad_canary_pauses_it_and_the_exit_code_says_so(edgewatt):
    code, out, err = edgewatt("rollouts", "start", MODEL, "--to", "line=B", "--plan", "1,100%", "--yes", "--wait")

    assert code == Exit.FAILED
    assert "1 of 1 judged devices of wave 1 went wrong, at last b1: it broke" in out
    assert "it is paused and waits for a person" in err
    rollout_id = newest(edgewatt)["id"]
    code, out, _ = edgewatt("rollouts", "show", rollout_id)
    assert code == Exit.DONE
    device = next(line for line in out.splitlines() if line.startswith("b1"))
    assert ("failed" in device, "probing" in device, "it broke" in device) == (True, True, True)

    assert edgewatt("rollouts", "resume", rollout_id)[0] == Exit.USAGE  # nobody to ask whether to go on
    code, out, _ = edgewatt("rollouts", "resume", rollout_id, "--yes")
    assert (code, "running" in out) == (Exit.DONE, True)
    code, out, _ = edgewatt("rollouts", "watch", rollout_id, "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert (code, lines[-1]["phase"], lines[-1]["outcome"]) == (Exit.PARTLY, "failed", "2 of 3 done, 1 failed")


def test_pause_abort_and_retry_are_asked_for_by_their_id(edgewatt, fake):
    assert edgewatt("rollouts", "start", MODEL, "--to", "line=C", "--plan", "1,100%", "--yes")[0] == Exit.DONE
    rollout_id = newest(edgewatt)["id"]
    assert edgewatt("rollouts", "watch", rollout_id, "--timeout", "0")[0] == Exit.TIMED_OUT
    code, out, _ = edgewatt("rollouts", "pause", rollout_id, "--reason", "lunch", "--json")
    assert (code, json.loads(out)["reason"]) == (Exit.DONE, "lunch")
    code, _, err = edgewatt("rollouts", "abort", rollout_id)
    assert (code, "add --yes" in err) == (Exit.USAGE, True)
    assert edgewatt("rollouts", "abort", rollout_id, "--reason", "enough", "--yes")[0] == Exit.DONE
    assert newest(edgewatt)["phase"] == "aborted"
    code, _, err = edgewatt("rollouts", "retry", rollout_id, "--yes", "--json")
    assert (code, json.loads(err)["code"]) == (Exit.FAILED, "conflict")

    assert edgewatt("rollouts", "start", MODEL, "--to", "g1", "--plan", "100%", "--yes", "--wait")[0] == Exit.FAILED
    fake.ends["g1"] = "succeeded"
    code, _, err = edgewatt("rollouts", "abort", newest(edgewatt)["id"], "--yes")
    code, out, err = edgewatt("rollouts", "retry", newest(edgewatt)["id"], "--yes", "--wait")
    assert (code, "1 of 1 done" in out, "watch it:" in err) == (Exit.DONE, True, True)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("rollouts", "show", "nothing"), Exit.NOT_FOUND, "no rollout 'nothing'"),
        (("rollouts", "start", MODEL, "--to", "line=Z", "--yes"), Exit.NOT_FOUND, "no device is meant"),
        (("rollouts", "start", MODEL, "--yes"), Exit.USAGE, "no device is meant"),
        (("rollouts", "start", MODEL, "--to", "f1", "--plan", "half", "--yes"), Exit.USAGE, "'half' is no wave"),
        (("rollouts", "start", MODEL, "--to", "f1", "--not-before", "soon"), Exit.USAGE, "'soon' is no time"),
        (("rollouts", "start", MODEL, "--to", "f1"), Exit.USAGE, "there is nobody to ask"),
        (("rollouts", "start", MODEL, "--to", "f1", "--on-breach", "panic"), Exit.USAGE, "panic"),
    ],
)
def test_nonsense_says_what_is_wrong(edgewatt, words, code, said):
    got, _, err = edgewatt(*words)

    assert got == code
    assert said in err
