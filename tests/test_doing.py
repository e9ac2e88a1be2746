"""What a device serves and how it saves power, in the fleet's words."""

from dataclasses import replace

import pytest

from broker.activity import GovernorState
from broker.messages import State
from broker.topics import STATE
from controller import doing, fleet
from dashboard import attention, portrait, views, words
from tests.controlling import controller
from tests.test_fleet import NOW, device

BIG = {"model": "big", "artifact_sha256": "bb"}
GROUND = {"rung": 0, "of": 2, "since": 1.0, "rate": 5.0, "runs": "big"}
SLOW = {**GROUND, "rung": 1, "rate": 0.2, "since": 2.0, "reason": "battery 28 %", "condition": "battery < 30 %"}
SMALL = {**SLOW, "rung": 2, "since": 3.0, "model": "small", "runs": "small", "reason": "76 °C"}
SMALL["condition"] = "temperature > 75 °C"
FAULT = {**SMALL, "runs": "big", "fault": "small does not run: it is damaged"}


@pytest.mark.parametrize(
    ("governor", "said"),
    [
        (None, None),
        (GROUND, None),
        (SLOW, "at 0.2/s while battery < 30 %"),
        (SMALL, "runs small at 0.2/s while temperature > 75 °C"),
        (FAULT, "wants small at 0.2/s while temperature > 75 °C; small does not run: it is damaged"),
        ({**GROUND, "runs": "small"}, "still runs small"),
    ],
)
def test_what_the_governor_changes_is_said_with_how_long(governor, said):
    assert doing.governed({"active": BIG, "governor": governor}) == said


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (None, None, None),
        (None, GROUND, "pi5-2 has a governor of 2 rungs"),
        (None, SLOW, "pi5-2 stepped to 0.2/s: battery 28 %"),
        (GROUND, SLOW, "pi5-2 stepped to 0.2/s: battery 28 %"),
        (SLOW, SLOW, None),
        (SLOW, {**SLOW, "rate": 0.1}, None),
        (SLOW, SMALL, "pi5-2 stepped to small at 0.2/s: 76 °C"),
        (SMALL, {**GROUND, "since": 9.0, "reason": "60 °C"}, "pi5-2 stepped back to 5/s: 60 °C"),
        (SMALL, FAULT, "pi5-2 stays as it is: small does not run: it is damaged"),
        (FAULT, FAULT, None),
        (SLOW, {**GROUND, "since": 9.0, "of": 1}, "pi5-2 has a governor of 1 rung"),
        (SLOW, None, "pi5-2 has no governor any more"),
    ],
)
def test_each_step_of_a_governor_is_told_once_with_its_reason(before, after, said):
    assert doing.stepped("pi5-2", before, after) == said


def test_drift_tells_a_governed_device_from_one_that_is_out_of_step():
    wanted = {"deploy": {"model": "big", "artifact": {"sha256": "bb"}}}
    small = {"active": BIG, "governor": SMALL}

    governed = "governed: runs small at 0.2/s while temperature > 75 °C"
    assert fleet.drift(device(desired=wanted, state=small)) == governed
    assert fleet.drift(device(state=small)) == governed
    assert fleet.drift(device(desired=wanted, state={"active": BIG, "governor": SLOW})) == "in step"
    other = {"deploy": {"model": "new", "artifact": {"sha256": "nn"}}}
    assert fleet.drift(device(desired=other, state=small)) == "wants new, runs small"


def test_a_governed_device_shows_what_runs_and_needs_nobody():
    row = device(online=1, status_at=NOW - 50, reading_at=NOW, reading={}, state={"active": BIG, "governor": SMALL})
    shown = fleet.view(row, NOW)
    page = portrait.model_now(shown)

    assert (shown["runs"], shown["active"]["model"], shown["governor"]["rung"]) == ("small", "big", 2)
    assert words.out_of_step(shown["drift"]) == ""
    assert attention.attention([shown], [], NOW) == []
    assert "rung 2 of 2" in page
    assert "big, when the governor lets it run again" in page
    assert "76 °C; runs small at 0.2/s while temperature &gt; 75 °C" in page
    assert views.predicted({**shown, "predicted": {"low_mj": 1}, "desired": {"model": "big"}}) == {}


def test_a_governor_that_cannot_do_what_it_wants_needs_somebody():
    row = device(online=1, status_at=NOW - 50, reading_at=NOW, reading={}, state={"active": BIG, "governor": FAULT})
    (case,) = attention.attention([fleet.view(row, NOW)], [], NOW)

    assert "small does not run" in case.needs[0].sentence


async def test_a_step_becomes_one_event_of_the_device_however_often_its_state_is_heard(tmp_path):
    ground = State(rev=2, session="s", governor=GovernorState(**GROUND))
    slow = replace(ground, rev=3, governor=GovernorState(**SLOW))
    async with controller(tmp_path) as running, running.joined() as joined:
        for state in (ground, slow, slow, replace(slow, rev=4), ground, replace(slow, rev=5, governor=None)):
            await joined.link.publish(STATE.topic("pi5-1"), STATE.encode(state), qos=1, retain=True)

        def told():
            return running.parts.service.store.events(kind="governor", device_id="pi5-1", oldest_first=True)

        async def ended():
            return told() and "any more" in told()[-1]["text"]

        await running.until(ended)
        texts = [each["text"] for each in told()]

    assert texts == [
        "pi5-1 has a governor of 2 rungs",
        "pi5-1 stepped to 0.2/s: battery 28 %",
        "pi5-1 has no governor any more",
    ]
