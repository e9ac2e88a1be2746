"""Telemetry stays as long as it is told to, goes in small steps, and the space that it took is used again."""

import itertools

import pytest

from broker.messages import Energy, Telemetry
from controller.cli import tables
from controller.storage import sqlite
from controller.storage.store import Store
from controller.telemetry import history
from controller.telemetry import retention as retaining
from controller.telemetry.retention import (
    AT_ONCE,
    HOURS,
    LOOK_EVERY_S,
    MINUTES,
    SAMPLES,
    Retention,
    first_of,
    gives_way,
)
from controller.telemetry.rollups import DAY_S, HOUR_S, Rollups
from tests.controlling import controller

NOW = 1_800_000_000.0
SUMS = ("telemetry_minutes", "telemetry_hours")


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """Let a tick take all its steps, however slow the machine is."""
    monkeypatch.setattr(retaining, "BUDGET_S", 1e6)


@pytest.fixture
def store(tmp_path):
    opened = Store(tmp_path / "controller.db")
    for device_id in ("pi5-1", "jetson-1"):
        opened.add_device(device_id, NOW, approved=True)
    yield opened
    opened.close()


def fill(store, device_id, first, count, *, every_s=1.0):
    """Store `count` samples from `first` (Unix s) on."""
    samples = (
        Telemetry(ts=first + n * every_s, session="s", seq=n, energy=Energy(source="ina3221", energy_mj=n))
        for n in range(count)
    )
    with store.transaction():
        history.add_samples(store, ((device_id, sample, NOW) for sample in samples))


def left(store, device_id=""):
    store.settle(*store.samples.begin_walk())
    where = "WHERE device_id = ?" if device_id else ""
    return store.query(f"SELECT count(*) AS n FROM samples {where}", [device_id] if device_id else [])[0]["n"]


def pass_time(retention, ticks, at=NOW):
    """Tick once a second; return how many samples went in each tick."""
    went = []
    for second in range(ticks):
        before = left(retention.store)
        with retention.store.transaction():
            retention.tick(at + second)
        went.append(before - left(retention.store))
    return went


def retention(store, **changes):
    return Retention(**({"store": store, "keep_days": 30, "max_mb": 1_000} | changes))


def test_what_is_too_old_goes_and_the_rest_stays_whosever_it_is(store):
    fill(store, "pi5-1", NOW - 31 * DAY_S, 10)
    fill(store, "pi5-1", NOW - 29 * DAY_S, 10, every_s=2.0)
    fill(store, "forgotten", NOW - 40 * DAY_S, 7)
    fill(store, "jetson-1", NOW - 60, 5)
    keeper = retention(store)

    pass_time(keeper, 1)

    assert (left(store, "pi5-1"), left(store, "forgotten"), left(store, "jetson-1")) == (0, 0, 5)


def test_samples_of_one_session_around_the_limit_part_exactly_there(store):
    fill(store, "pi5-1", NOW - 30 * DAY_S - 5, 10)

    pass_time(retention(store), 1)

    assert left(store) == 5


def test_much_that_is_due_goes_in_small_steps_over_all_devices(store, monkeypatch):
    monkeypatch.setattr(retaining, "BUDGET_S", 0.0)
    fill(store, "pi5-1", NOW - 50 * DAY_S, 2 * AT_ONCE + 5)
    fill(store, "jetson-1", NOW - 50 * DAY_S, 10)

    went = pass_time(retention(store), 6)

    assert went == [0, AT_ONCE, AT_ONCE, 5, 10, 0], "a look first, and one step in each tick"


def test_it_looks_once_a_minute(store):
    keeper = retention(store)
    pass_time(keeper, 1)
    fill(store, "pi5-1", NOW - 50 * DAY_S, 3)

    went = pass_time(keeper, int(LOOK_EVERY_S) + 2, NOW + 1)

    assert went.index(3) == LOOK_EVERY_S - 1


def test_of_a_large_fleet_some_devices_are_looked_at_in_each_tick(store, monkeypatch):
    monkeypatch.setattr(retaining, "BUDGET_S", 0.0)
    monkeypatch.setattr(retaining, "LOOKED_AT_ONCE", 2)
    for device_id in ("a", "b", "c", "d"):
        fill(store, device_id, NOW - 40 * DAY_S, 1)

    assert pass_time(retention(store), 7) == [0, 0, 0, 1, 1, 1, 1]


def test_a_database_that_is_too_large_loses_its_oldest_telemetry_until_it_fits(store):
    fill(store, "pi5-1", NOW - 20 * HOUR_S, 20 * 360, every_s=10.0)
    fill(store, "jetson-1", NOW - 5 * HOUR_S, 5 * 360, every_s=10.0)
    store.connection.execute("UPDATE rolled SET until = ?", [NOW])
    full = store.connection.size().used_bytes / 1e6
    keeper = retention(store, max_mb=full * 0.7)

    pass_time(keeper, 30)

    assert full * 0.5 < store.connection.size().used_bytes / 1e6 <= full * 0.7
    assert left(store, "jetson-1") == 5 * 360
    assert left(store, "pi5-1") < 20 * 360
    said = [event["text"] for event in store.events(kind="storage")]
    assert len(said) == 1
    assert "the oldest, because the database was larger than" in said[0]


def test_what_went_is_not_summed_up_anew_from_a_late_sample_alone(store):
    fill(store, "pi5-1", NOW - 10 * HOUR_S, 3_600, every_s=10.0)
    pass_time(retention(store), 1)
    keeper = retention(store, max_mb=0.001)
    pass_time(keeper, 30)
    late = Telemetry(ts=NOW - 5 * HOUR_S + 1, session="s", seq=9_999)
    with store.transaction():
        history.add_samples(store, [("pi5-1", late, NOW + 400)])

    pass_time(keeper, 3, NOW + 400)

    where = [NOW - 5 * HOUR_S]
    assert store.query("SELECT samples FROM telemetry_minutes WHERE ts = ?", where) == [{"samples": 6}]


def test_the_newest_hour_stays_however_small_the_database_may_be(store):
    fill(store, "pi5-1", NOW - 2 * HOUR_S, 720, every_s=10.0)

    pass_time(retention(store, max_mb=0.001), 20)

    assert left(store) >= HOUR_S / 10 - 2
    assert left(store) < 720 / 2 + 5


def test_sums_by_minute_give_way_once_only_the_newest_hour_of_samples_is_left(store):
    fill(store, "pi5-1", NOW - 4 * DAY_S, 4 * 24 * 6, every_s=600.0)
    store.connection.execute("UPDATE rolled SET until = ?", [NOW - 5 * DAY_S])
    with store.transaction():
        while Rollups(store=store).tick(NOW):
            pass

    pass_time(retention(store, max_mb=0.001), 2)

    [minutes] = store.query("SELECT min(ts) AS first, max(ts) AS last FROM telemetry_minutes")
    [hours] = store.query("SELECT min(ts) AS first FROM telemetry_hours")
    assert left(store) == 6
    assert NOW - 1.1 * DAY_S < minutes["first"] < minutes["last"]
    assert hours["first"] <= NOW - 4 * DAY_S


def test_what_comes_late_goes_with_what_is_as_old_and_leaves_nothing_behind(store):
    fill(store, "jetson-1", NOW - 60, 3)
    fill(store, "pi5-1", NOW - 31 * DAY_S, 3)

    pass_time(retention(store), 1)

    assert store.query("SELECT DISTINCT device_id FROM telemetry") == [{"device_id": "jetson-1"}]


def test_a_fleet_that_takes_long_to_be_looked_at_is_looked_at_less_often(store, monkeypatch):
    monkeypatch.setattr(retaining, "LOOK_SHARE", 1e-9)
    keeper = retention(store)
    pass_time(keeper, 1)
    fill(store, "pi5-1", NOW - 31 * DAY_S, 3)

    assert pass_time(keeper, 1, NOW + 2 * LOOK_EVERY_S) == [0]


@pytest.mark.parametrize(
    ("oldest", "expected"),
    [
        ([], None),
        ([7.0, 5.0], 5.0),
        ([1.0, *[9.0] * 98], 1.0),
        ([1.0, *[9.0] * 99], 9.0),
    ],
)
def test_one_clock_of_a_large_fleet_that_was_behind_does_not_say_what_the_oldest_is(oldest, expected):
    assert first_of(oldest) == expected


@pytest.mark.parametrize(
    ("detail", "oldest_ago_s", "expected_ago_s"),
    [
        (SAMPLES, 40 * DAY_S, 30 * DAY_S),
        (SAMPLES, 10 * DAY_S, 10 * DAY_S - 600),
        (SAMPLES, 10.0, HOUR_S),
        (MINUTES, 10 * DAY_S, 9 * DAY_S),
        (MINUTES, HOUR_S, DAY_S),
        (HOURS, 10 * DAY_S, 30 * DAY_S),
        (SAMPLES, None, 30 * DAY_S),
    ],
)
def test_in_a_crowded_database_the_oldest_gives_way_and_the_newest_stays(detail, oldest_ago_s, expected_ago_s):
    oldest_at = None if oldest_ago_s is None else NOW - oldest_ago_s

    assert gives_way(detail, NOW, oldest_at, too_old=NOW - 30 * DAY_S) == NOW - expected_ago_s


def test_sums_by_minute_go_with_the_samples_and_sums_by_hour_stay_longer(store):
    fill(store, "pi5-1", NOW - 3 * DAY_S, 240, every_s=60.0)
    store.connection.execute("UPDATE rolled SET until = ?", [NOW - 4 * DAY_S])
    with store.transaction():
        Rollups(store=store).tick(NOW)

    pass_time(retention(store, keep_days=2), 1)
    kept = {table: store.query(f"SELECT count(*) AS n FROM {table}")[0]["n"] for table in SUMS}
    pass_time(retention(store, keep_days=2, hours_days=2.5), 1)

    assert (left(store), kept) == (0, {"telemetry_minutes": 0, "telemetry_hours": 4})
    assert store.query("SELECT count(*) AS n FROM telemetry_hours") == [{"n": 0}]
    assert "240 samples, 240 sums by minute of telemetry were removed" in store.events(oldest_first=True)[0]["text"]


def test_what_went_is_told_once_a_day_with_how_much(store):
    fill(store, "pi5-1", NOW - 31 * DAY_S, 10)
    keeper = retention(store)
    pass_time(keeper, 1)
    fill(store, "jetson-1", NOW - 31 * DAY_S, 4)
    pass_time(keeper, 2, NOW + 2 * LOOK_EVERY_S)
    pass_time(keeper, 1, NOW + DAY_S)

    said = [event["text"] for event in store.events(kind="storage", oldest_first=True)]

    assert said == [
        "10 samples of telemetry were removed: older than they are kept",
        "4 samples of telemetry were removed: older than they are kept",
    ]


def test_free_pages_are_used_again_and_what_stays_free_goes_back_to_the_disk(store, monkeypatch):
    monkeypatch.setattr(sqlite, "FREE_PAGES", 20)
    monkeypatch.setattr(sqlite, "PAGES_AT_ONCE", 50)
    fill(store, "pi5-1", NOW - 50 * DAY_S, 6_000)
    grown = store.connection.size().bytes
    keeper = retention(store)
    pass_time(keeper, 3)
    fill(store, "jetson-1", NOW - 60, 500)
    reused = store.connection.size().bytes
    sizes = []
    for second in range(10):
        pass_time(keeper, 1, NOW + 4 + second)
        sizes.append(store.connection.size().bytes)

    assert reused <= grown
    assert sizes[-1] < grown * 0.6
    assert all(before - after <= 51 * 4096 for before, after in itertools.pairwise(sizes))


def test_in_postgresql_telemetry_goes_the_same_way(databases):
    store = Store(databases.empty())
    fill(store, "pi5-1", NOW - 30 * DAY_S - 5, 10)
    fill(store, "forgotten", NOW - 40 * DAY_S, 7)
    keeper = retention(store)

    went = pass_time(keeper, 2)
    size = store.connection.size()
    said = [event["text"] for event in store.events(kind="storage")]
    store.close()

    assert went == [12, 0]
    assert keeper.oldest_at == NOW - 40 * DAY_S
    assert 0 < size.used_bytes <= size.bytes
    assert said == ["12 samples of telemetry were removed: older than they are kept"]


async def test_the_status_tells_how_large_the_database_is_and_how_far_back_it_goes(tmp_path):
    async with controller(tmp_path, listed={}, keep_telemetry_days=7.0, max_database_mb=500.0) as running:
        async with running.joined() as device:
            await device.sample(1)
            await running.until(lambda: _stored(running))
        with running.parts.service.store.transaction():
            running.parts.ingest.passing.retention._looked_at = 0.0
            running.parts.ingest.passing.retention.tick(running.parts.clock())
        status = await running.get("/api/status")

    storage = status["storage"]
    assert storage["database_mb"] >= storage["used_mb"] > 0
    assert (storage["keep_telemetry_days"], storage["max_database_mb"]) == (7.0, 500.0)
    assert 0 <= storage["oldest_sample_age_s"] < 3_600
    [said] = [value for what, value in tables.status(status)[0].rows if what == "database"]
    assert "of 500 MB, telemetry of the last" in said


async def test_what_is_due_goes_between_the_ticks(tmp_path, monkeypatch):
    monkeypatch.setattr("controller.ingest.TICK_S", 3_600.0)
    monkeypatch.setattr(retaining, "BUDGET_S", 0.0)
    async with controller(tmp_path, listed={}) as running:
        store, keeper = running.parts.service.store, running.parts.ingest.passing.retention
        fill(store, "pi5-1", running.parts.clock() - 50 * DAY_S, 5)
        with store.transaction():
            keeper.tick(running.parts.clock())
        begun = keeper.is_due

        await running.until(lambda: _all_is_gone(keeper))

    assert begun


async def _all_is_gone(keeper):
    return not keeper.is_due and left(keeper.store) == 0


async def _stored(running):
    return left(running.parts.service.store) == 1
