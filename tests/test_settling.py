"""Keys and readings have their places within a walk; what is asked for before is right, so is what a kill leaves."""

import asyncio
import json
import sqlite3
import time
from contextlib import closing, suppress

import pytest

from broker.messages import Energy, Latency, Telemetry
from controller.fleet_list import FleetList, Sought
from controller.storage import settling
from controller.storage.store import Store
from controller.telemetry import history
from controller.telemetry.live import Live
from controller.telemetry.samples import Samples

NOW = time.time()
NAMES = [f"pi5-{n}" for n in range(5)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "controller.db"


def opened(path):
    store = Store(path)
    with store.transaction():
        for name in NAMES:
            store.add_device(name, NOW - 60, approved=True)
        store.hold()
    return store


def said(seq, **more):
    energy = Energy(source="ina3221", energy_mj=7.0 + seq, power_mw=900.0)
    latency = Latency(p50=1.0, p95=2.0 + seq, max=9.0)
    return Telemetry(
        ts=NOW - 50 + seq, session="s1", seq=seq, temperature_c=50.0, energy=energy, latency_ms=latency, **more
    )


def hears(store, *messages, names=NAMES):
    samples = Samples(store, Live())
    with store.transaction():
        for name in names:
            for message in messages:
                payload = json.dumps({k: v for k, v in _plain(message).items() if v is not None}).encode()
                samples.take(name, payload, message.ts)
        samples.flush()


def _plain(message):
    parts = {"energy": message.energy, "latency_ms": message.latency_ms}
    plain = {name: getattr(message, name) for name in ("ts", "session", "seq", "temperature_c", "throttled")}
    return plain | {name: {k: getattr(part, k) for k in part.__slots__} for name, part in parts.items()}


def written(store, what="reading_at"):
    """Return what the file itself says, past everything that is held in memory."""
    return [row[0] for row in store.connection.execute(f"SELECT {what} FROM main.devices ORDER BY id")]


def keys(store):
    return store.query("SELECT count(*) AS n FROM telemetry_times")[0]["n"]


def test_what_was_just_said_is_shown_sorted_and_charted_before_it_is_in_its_place(path):
    store = opened(path)
    hears(store, said(1), said(2))
    hears(store, said(3), names=["pi5-3"])

    fleet = FleetList(store=store)
    dearest = fleet.page(Sought(sort="-energy_mj"), NOW, limit=1, offset=0)
    _, buckets = history.read_buckets(store, "pi5-3", since=NOW - 60, until=NOW, points=1)

    assert written(store) == [None] * 5
    assert [row["id"] for row in dearest] == ["pi5-3"]
    assert dearest[0]["reading"]["energy"]["energy_mj"] == 10.0
    assert store.device("pi5-0")["reading"]["seq"] == 2
    assert sum(each["samples"] for each in buckets) == 3
    assert keys(store) == 3, "those of the device that was asked for, and no others"


def test_an_older_reading_does_not_replace_a_newer_one(path):
    store = opened(path)
    hears(store, said(5))
    hears(store, said(4))

    assert store.device("pi5-0")["reading"]["seq"] == 5


def test_what_is_undone_shows_no_reading_and_lets_go_of_none(path):
    store = opened(path)
    hears(store, said(1))

    with suppress(ZeroDivisionError), store.transaction():
        store.readings.put({"pi5-0": (said(2), NOW)})
        store.readings.keep(["pi5-1"])
        store.forget_device("pi5-2")
        raise ZeroDivisionError

    assert [store.device(name)["energy_mj"] for name in NAMES] == [8.0] * 5
    assert written(store) == [None] * 5
    assert sorted(store.readings.held()) == NAMES


def test_a_device_whose_registration_was_undone_does_not_lend_its_place_to_another(path):
    store = opened(path)
    with suppress(ZeroDivisionError), store.transaction():
        store.add_device("nano-1", NOW, approved=True)
        store.readings.put({"nano-1": (said(1), NOW - 49)})
        raise ZeroDivisionError
    with store.transaction():
        store.add_device("nano-2", NOW, approved=True)
        store.add_device("nano-1", NOW, approved=True)

    hears(store, said(3), names=["nano-1"])

    assert store.device("nano-1")["reading"]["seq"] == 3
    assert store.device("nano-2")["reading"] is None


async def test_a_walk_writes_every_key_and_every_reading_and_notes_how_far(path, monkeypatch):
    monkeypatch.setattr(settling, "WALK_S", 0.01)
    monkeypatch.setattr(settling, "AT_ONCE", 2)
    store = opened(path)
    hears(store, said(1), said(2))

    await settling.walk(store)

    assert store.query("SELECT up_to FROM telemetry_written") == [{"up_to": 10}]
    assert keys(store) == 10
    assert written(store) == [NOW - 48] * 5
    assert store.readings.held() == []


async def test_a_walk_in_which_a_device_had_no_turn_promises_nothing(path, monkeypatch):
    monkeypatch.setattr(settling, "WALK_S", 0.01)
    store = opened(path)
    hears(store, said(1))
    store.connection.execute("PRAGMA busy_timeout=0")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        names = store.samples.begin_walk

        def then_locked():
            found = names()
            other.execute("BEGIN IMMEDIATE")
            return found

        def then_free():
            other.execute("ROLLBACK")

        monkeypatch.setattr(store.samples, "begin_walk", then_locked)
        monkeypatch.setattr(settling.logger, "warning", lambda *_, **__: then_free())
        await settling.walk(store)

    assert store.query("SELECT up_to FROM telemetry_written") == [{"up_to": 0}]
    store.connection.close()  # a kill
    again = opened(path)
    again.settle(*NAMES)
    assert keys(again) == 5


async def test_a_controller_that_ends_leaves_whole_readings_behind(path):
    store = opened(path)
    hears(store, said(1))
    task = asyncio.create_task(settling.settle(store, hold=True))
    await asyncio.sleep(0)

    task.cancel()
    await asyncio.wait([task])

    assert written(store) == [NOW - 49] * 5


def test_after_a_kill_readings_are_found_in_the_samples_that_were_committed(path):
    store = opened(path)
    hears(store, said(1), said(2, throttled=True))
    before = store.device("pi5-1")
    store.connection.close()  # as a kill leaves the file: nothing is written at its end

    again = opened(path)

    assert written(again) == [None] * 5
    assert again.device("pi5-1") == before | {"reading": again.device("pi5-1")["reading"]}
    told = again.device("pi5-1")["reading"]
    assert before["reading"].items() <= told.items()
    assert told["throttled"] is True


def test_a_device_that_is_forgotten_and_comes_back_has_no_reading_from_before(path):
    store = opened(path)
    hears(store, said(1))
    with store.transaction():
        store.forget_device("pi5-1")
        store.add_device("pi5-1", NOW, approved=True)

    assert store.device("pi5-1")["reading"] is None
    assert store.readings.newest("pi5-1", NOW) is None
    assert json.loads(store.readings.newest("pi5-0", NOW - 49))["seq"] == 1


def test_a_reading_in_memory_is_what_is_known_of_its_sample_at_a_time_that_can_be(path):
    store, told = opened(path), {"ts": NOW, "session": "s1", "seq": 1, "temperature_c": 50.0}
    said = json.dumps(told).encode()
    payloads = said, said[:-1] + b',"odd":"\xff"}', said[:-1] + b',"odd":"%b"}' % (b"x" * 5_000)
    samples = Samples(store, Live())
    with store.transaction():
        for name, payload in zip(NAMES, payloads, strict=False):
            samples.take(name, payload, NOW)
        samples.take("pi5-0", json.dumps(told | {"ts": 5.0, "seq": 2}).encode(), NOW)
        samples.flush()

    assert [store.device(name)["reading"] for name in NAMES] == [told | {"seq": 2}, told, told, None, None]
