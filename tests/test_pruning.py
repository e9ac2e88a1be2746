"""Records of what has ended go by age and by number, in small steps; what is open, newest or spoken of stays."""

from dataclasses import replace

import pytest

from broker.commands import Ack
from broker.phases import Phase
from controller import pruning
from controller.deployment import begin
from controller.feedback.book import Book
from controller.feedback.ledger import Entry
from controller.pruning import DAY_S, LOOK_EVERY_S, Pruning
from controller.records import Commands, Deployments
from controller.storage.store import Store

NOW = 1_800_000_000.0
DAYS = {"deployments": 365.0, "commands": 90.0, "ledger": 730.0}


def keeper(store, most=1_000, **days):
    return Pruning(store=store, days=DAYS | days, most=most)


def pass_time(kept, ticks=40, at=NOW):
    """Tick once a second; return how many records went in each tick."""
    went, counted = [], counts(kept.store)
    for second in range(ticks):
        with kept.store.transaction():
            kept.tick(at + second)
        before, counted = counted, counts(kept.store)
        went.append(sum(before.values()) - sum(counted.values()))
    return went


def counts(store):
    tables = ("deployments", "commands", "ledger", "rollouts", "rollout_devices")
    return {table: store.query(f"SELECT count(*) AS n FROM {table}")[0]["n"] for table in tables}


def deploy(store, name, days_ago, device_id="pi5-1", phase="succeeded"):
    at = NOW - days_ago * DAY_S
    made = begin(command_id=name, device_id=device_id, model="m", origin="cli", at=at)
    Deployments(store).put(replace(made, phase=Phase(phase)))


def order(store, name, days_ago, device_id="pi5-1", state="succeeded"):
    at = NOW - days_ago * DAY_S
    Commands(store).add(name, device_id, "ping", "cli", at)
    if state:
        Commands(store).hear(device_id, Ack(id=name, op="ping", state=Phase(state), seq=1), at)


def measure(store, days_ago, model="m", deployment_id="d", device_id="pi5-1"):
    at = NOW - days_ago * DAY_S
    Book(store).add(
        Entry(device_id=device_id, model=model, actual_mj=5.0, source="pmic", at=at, deployment_id=deployment_id)
    )


def names(store, table):
    return [row["id"] for row in store.query(f"SELECT id FROM {table} ORDER BY id")]


def test_old_deployments_go_but_the_newest_of_each_device_and_what_is_open(store):
    for index in range(9):
        deploy(store, f"d{index}", 800 - index)
    deploy(store, "d9", 900, phase="queued")
    deploy(store, "e1", 900, device_id="pi5-2")

    pass_time(keeper(store))

    assert names(store, "deployments") == ["d4", "d5", "d6", "d7", "d8", "d9", "e1"]


def test_young_ones_stay_however_many_of_a_device_there_are(store):
    for index in range(20):
        deploy(store, f"d{index:02d}", 10 + index)

    assert sum(pass_time(keeper(store))) == 0


def test_the_oldest_go_where_there_are_more_than_may_be(store):
    for index in range(30):
        deploy(store, f"d{index:02d}", 30 - index)
        measure(store, 30 - index)

    pass_time(keeper(store, most=10))

    assert names(store, "deployments") == [f"d{index:02d}" for index in range(19, 30)]
    assert counts(store)["ledger"] == 11


def test_what_a_rollout_speaks_of_stays_as_long_as_that(store):
    for index in range(9):
        deploy(store, f"d{index}", 300 - index)
    for name, days_ago, is_open in (("kept", 100, 0), ("open", 900, 1), ("old", 900, 0)):
        store.connection.execute(
            "INSERT INTO rollouts (id, open, joins, phase, created_at, request, document) "
            "VALUES (?, ?, 0, 'x', ?, '', '')",
            [name, is_open, NOW - days_ago * DAY_S],
        )
    for name, deployment_id in (("kept", "d0"), ("open", "d1"), ("old", "d2")):
        store.connection.execute(
            "INSERT INTO rollout_devices (rollout_id, device_id, standing, moving, since, deployment_id) "
            "VALUES (?, 'pi5-1', 'done', 0, 0, ?)",
            [name, deployment_id],
        )

    pass_time(keeper(store, deployments=200.0))

    assert names(store, "rollouts") == ["kept", "open"]
    assert names(store, "deployments") == ["d0", "d1", "d4", "d5", "d6", "d7", "d8"]


def test_orders_that_a_device_still_tells_of_or_has_not_answered_stay(store):
    for index in range(30):
        order(store, f"c{index:02d}", 200 - index)
    order(store, "asked", 300, state=None)
    order(store, "begun", 300, state="accepted")

    pass_time(keeper(store))

    assert names(store, "commands") == ["asked", "begun", *(f"c{index}" for index in range(10, 30))]


def test_of_the_ledger_stays_what_each_model_cost_each_device_last(store):
    for days_ago in (900, 850, 800):
        measure(store, days_ago)
        measure(store, days_ago, deployment_id=None)
    measure(store, 1_000, model="other")
    measure(store, 1_000, device_id="pi5-2")
    measure(store, 10)

    pass_time(keeper(store))
    left = {(e.device_id, e.model, e.deployment_id, round((NOW - e.at) / DAY_S)) for e in Book(store).entries()}

    expected = {("pi5-1", "m", "d", 10), ("pi5-1", "m", None, 800), ("pi5-1", "other", "d", 1_000)}
    assert left == expected | {("pi5-2", "m", "d", 1_000)}
    assert Book(store).baseline("pi5-1", "other") is not None


def test_much_goes_in_small_steps_and_is_told_once(store, monkeypatch):
    monkeypatch.setattr(pruning, "AT_ONCE", 10)
    for index in range(60):
        order(store, f"c{index:02d}", 400 - index)
    kept = keeper(store)

    went = pass_time(kept)

    assert max(went) <= 11
    assert sum(went) == 40
    assert kept.kept()["commands"] == {"days": 90.0, "most": 1_000, "oldest_at": NOW - 400 * DAY_S, "removed": 40}
    assert [event["text"] for event in store.events()] == ["40 orders were removed: older, or more, than are kept"]
    assert sum(pass_time(kept, at=NOW + LOOK_EVERY_S)) == 0
    assert kept.kept()["commands"]["oldest_at"] == NOW - 360 * DAY_S


@pytest.mark.parametrize("kind", pruning.KINDS, ids=lambda kind: kind.table)
def test_no_step_reads_a_whole_table(kind):
    store = Store(None)
    plan = store.query(
        f"EXPLAIN QUERY PLAN DELETE FROM {kind.table} AS r WHERE {kind.at} >= 1 AND {kind.at} <= 2 AND {kind.goes}"
    )
    store.close()

    assert not any(row["detail"].startswith("SCAN") for row in plan)
    assert all("(device_id=?" in row["detail"] for row in plan if "SEARCH n " in row["detail"])
