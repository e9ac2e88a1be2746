"""`edgewatt simulate`: a fleet in a few processes, from the command line to its report."""

import json

import pytest

from controller.cli.app import run
from controller.cli.exits import Exit
from controller.cli.simulated import total


@pytest.fixture
def simulate(mosquitto, tmp_path, capsys):
    def call(*words):
        where = ("--broker", mosquitto.url, "--data", str(tmp_path / "data"))
        code = run(("simulate", *where, *words))
        return code, *capsys.readouterr()

    return call


def test_a_fleet_is_played_in_processes_and_reported(simulate):
    code, out, err = simulate(
        "--devices", "6", "--processes", "2", "--minutes", "0.06", "--seed", "3", "--faults", "cuts"
    )
    report = json.loads(out)

    assert code == Exit.DONE
    assert (report["devices"], report["connected"], report["processes"]) == (6, 6, 2)
    assert (report["seed"], report["faults"], report["simulated"]) == (3, ["cuts"], True)
    assert "6 of 6 connected" in err or "starting" in err


def test_what_makes_no_sense_is_said_in_a_sentence(simulate):
    code, out, err = simulate("--devices", "2", "--faults", "gremlins")

    assert (code, out) == (Exit.USAGE, "")
    assert "gremlins" in err
    assert "hint: known:" in err


def test_a_broker_that_is_no_address_is_refused_before_anything_starts(capsys):
    assert run(("simulate", "--broker", "http://x")) != Exit.DONE
    assert "mqtt://" in capsys.readouterr().err


def test_the_counts_of_processes_are_added_up():
    one = {"devices": 2, "connected": 1, "with_model": 1, "reboots": 0, "misfires": 0, "commands": {"failed": 1}}
    two = {"devices": 3, "connected": 3, "with_model": 0, "reboots": 2, "misfires": 0, "commands": {"failed": 2}}

    added = total([one | {"lag_ms": 5}, two | {"lag_ms": 40}])

    assert (added["devices"], added["connected"], added["reboots"]) == (5, 4, 2)
    assert (added["commands"], added["lag_ms"]) == ({"failed": 3}, 40)
