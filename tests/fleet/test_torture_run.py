"""A short torture run, whole: everything is killed at least once, and nothing is lost."""

import json

from controller.cli.app import run
from controller.cli.exits import Exit


def test_nothing_is_lost_doubled_stuck_or_bricked(mosquitto, tmp_path, capsys):
    assert mosquitto.alive  # the run starts one of its own; without the program this test is skipped
    words = (
        "--minutes",
        "0.1",
        "--seed",
        "4",
        "--devices",
        "6",
        "--broker",
        "mosquitto",
        "--data",
        str(tmp_path / "t"),
    )

    code = run(("torture", *words))
    out, err = capsys.readouterr()
    summary = json.loads(out.splitlines()[-1])
    facts = json.loads(err.splitlines()[-1])

    assert (code, summary | {"trials": 0}) == (
        Exit.DONE,
        {"trials": 0, "lost": 0, "doubled": 0, "stuck": 0, "bricked": 0},
    ), out
    assert summary["trials"] > 5
    assert {"broker", "controller", "fleet-1"} <= facts["killed"].keys()
