"""Time is let pass for deployments when it can change them, and when their device comes, leaves, sleeps or wakes."""

import pytest

from broker.commands import Ack
from broker.phases import Phase
from controller.deployment import Heard, Moved, Tick, begin, step
from controller.looking import next_look, passed
from controller.records import Deployments
from controller.storage.store import Store

T0 = 1_790_000_000.0
AWAY, ASLEEP = Tick(online=False), Tick(asleep=True, online=False)


def sent():
    deployment = begin(command_id="c", device_id="pi5-1", model="m", origin="cli", at=T0)
    for phase in ("predicted", "gated", "resolving", "ready", "queued", "sent"):
        deployment, _ = step(deployment, Moved(phase=Phase(phase)), T0)
    return deployment


def downloading():
    return step(sent(), Heard(ack=Ack(id="c", op="deploy", state=Phase.DOWNLOADING, seq=1)), T0)[0]


@pytest.mark.parametrize(
    ("deployment", "tick", "after_s"),
    [
        (sent(), Tick(), 3_600),
        (downloading(), Tick(), 60),
        (downloading(), AWAY, 7_200),
        (downloading(), ASLEEP, 60),
    ],
)
def test_nothing_is_looked_at_before_time_can_change_it(deployment, tick, after_s):
    assert next_look(deployment, tick, T0, 60.0) == T0 + after_s
    assert step(deployment, tick, T0 + after_s - 0.1)[0].phase is deployment.phase


def test_what_is_overdue_is_looked_at_in_the_next_second():
    assert next_look(sent(), Tick(), T0 + 9_999, 60.0) == T0 + 10_000


def test_presence_is_read_from_the_row_of_a_device():
    sleeps = {"online": 0, "status_at": T0, "status": {"reason": "sleep", "wake_at": T0 + 600}}

    assert passed(None, T0) == AWAY
    assert passed(sleeps, T0) == ASLEEP
    assert passed(sleeps, T0 + 661) == AWAY
    assert passed({"online": 1, "status_at": T0, "status": {}}, T0) == Tick()


def test_a_sleep_moves_the_timers_on_by_all_of_it():
    asleep, _ = step(sent(), ASLEEP, T0 + 10)
    awake, _ = step(asleep, Tick(), T0 + 10 + 86_400)

    assert (awake.phase, awake.asleep_at) == (Phase.SENT, None)
    assert (awake.news_at, awake.deadline_at) == (T0 + 86_400, sent().deadline_at + 86_400)


def test_open_deployments_come_up_when_they_are_due_and_ended_ones_never(store):
    deployments = Deployments(store, silence_s=40.0)
    deployments.put(downloading())
    assert deployments.due(T0 + 39, 10) == []
    assert [each.id for each in deployments.due(T0 + 40, 10)] == ["c"]

    deployments.look_at("c", T0 + 900)
    assert deployments.due(T0 + 899, 10) == []
    ended, _ = step(downloading(), Tick(), T0 + 90_000)
    deployments.put(ended)
    deployments.look_at("c", T0)

    assert ended.terminal
    assert deployments.due(T0 + 99_999, 10) == deployments.open_on("pi5-1") == []


def test_a_second_reads_what_is_due_by_its_index():
    store = Store(None)
    plans = {
        "due_at <= 1 ORDER BY due_at LIMIT 9": "idx_deployments_due_at",
        "device_id = 'a' AND due_at IS NOT NULL ORDER BY created_at, id": "idx_deployments_device_id",
        "device_id = 'a' AND open = 1 ORDER BY created_at DESC, id LIMIT 9": "idx_deployments_device_id",
        "open = 1 AND phase = 'resolving' ORDER BY created_at, id": "idx_deployments_phase",
    }

    plans["command_id = 'c' ORDER BY created_at DESC LIMIT 1"] = "idx_deployments_command_id"

    for where, index in plans.items():
        plan = store.query(f"EXPLAIN QUERY PLAN SELECT document FROM deployments WHERE {where}")
        assert index in plan[0]["detail"], plan
    store.close()
