"""The audit finds what it is there to find."""

import pytest

from edge_agent.simulation.audit import History


def line(phase, seq, *, command="d1", op="deploy", attempt=1, ts=0.0):
    return {"id": command, "op": op, "phase": phase, "attempt": attempt, "seq": seq, "ts": ts}


def active(by):
    return {"active": "m", "by": by}


PROBED = [line("accepted", 1), line("downloading", 2), line("probing", 3)]
SWAPPED = [
    line("accepted", 1, command="r1", op="rollback"),
    active("d0"),
    line("succeeded", 2, command="r1", op="rollback"),
]

FINE = {
    "a deployment from begin to end": [*PROBED, active("d1"), line("active", 4), line("succeeded", 5)],
    "one that a reboot interrupted after it was made active": [
        *PROBED,
        active("d1"),
        {"boot": 2},
        line("accepted", 4, attempt=2),
        line("probing", 5, attempt=2),
        active("d1"),
        line("succeeded", 6, attempt=2),
    ],
    "the same typed again after a minute": [
        line("accepted", 1, command="h-1"),
        line("failed", 2, command="h-1"),
        line("accepted", 3, command="h-1", attempt=2),
    ],
    "a rollback": SWAPPED,
    "a rollback that waited for a deployment": [SWAPPED[0], *PROBED, active("d1"), line("succeeded", 4), *SWAPPED[1:]],
    "a model that another rollback brought back": [
        *PROBED,
        active("d1"),
        line("succeeded", 4),
        active("d0"),
        active("d1"),
    ],
}

DOUBLED = {
    "an end that was not the end": [*PROBED, line("failed", 4), line("accepted", 5, attempt=2)],
    "a journal that went back": [*PROBED, line("accepted", 1)],
    "a model made active twice in one attempt": [*PROBED, active("d1"), active("d0"), active("d1")],
    "a rollback that exchanged twice": [*SWAPPED[:2], active("d1"), SWAPPED[2]],
}


def doubled(lines):
    history = History()
    for each in lines:
        history.hear(each)
    return history.doubled


@pytest.mark.parametrize("case", FINE)
def test_nothing_is_wrong_with(case):
    assert doubled(FINE[case]) == []


@pytest.mark.parametrize("case", DOUBLED)
def test_it_finds(case):
    assert len(doubled(DOUBLED[case])) == 1
