"""Lists in SQL select, order and count devices as looking at each whole document would, in both databases."""

import itertools
import random
from typing import get_args

import pytest

from broker.errors import InvalidError
from broker.messages import Energy, Latency, Telemetry
from controller import fleet
from controller.api.fleet_counts import SHARED_S, SMALL_FLEET, FleetCounts
from controller.fleet_list import FleetList, Order, Sought
from controller.rollouts.drafting import meaning
from controller.rollouts.request import Selection
from controller.storage.store import Store
from tests.device_list import matches, ordered

NOW = 1_800_000_000.0
BOARDS = (None, "raspberry_pi_5", "jetson_nano_2gb")
AGES_S = (None, 0.0, 29.9, 30.0, 44.9, 45.0, 299.0, 300.0, 9_000.0)
STATUSES = (
    None,
    {"interval_s": 5.0},
    {"interval_s": 15.0, "reason": "lost"},
    {"reason": "sleep", "wake_at": NOW + 60.0, "ts": NOW - 10},
    {"reason": "sleep", "wake_at": NOW - 30.0, "ts": NOW - 10},
    {"reason": "sleep", "wake_at": NOW - 61.0, "ts": NOW - 10},
    {"reason": "sleep", "wake_at": 500.0, "ts": 100.0},
)
ASKED = (
    {},
    {"q": "PI5"},
    {"q": "mlp"},
    {"q": "100%"},
    {"tag": "line=A"},
    {"tag": "line=a"},
    {"tag": "line"},
    {"device_type": "raspberry_pi_5", "model": "digits_mlp"},
    *({"health": word} for word in (*fleet.HEALTHS, "well")),
    {"q": "dev", "tag": "line=B", "health": "live"},
)


@pytest.fixture
def listing(store):
    """A fleet in which every kind of presence, age and figure meets others."""
    luck = random.Random(3)
    with store.transaction():
        for index, (status, age_s, online) in enumerate(itertools.product(STATUSES, AGES_S, (None, 0, 1))):
            device_id = f"dev-{index:03d}"
            store.add_device(device_id, NOW - 86_400, approved=True)
            store.put_device(device_id, online=online, status=status, status_at=luck.choice((NOW - 4, NOW - 6)))
            board, model = luck.choice(BOARDS), luck.choice((None, "digits_mlp", "resnet18"))
            if board is not None:
                tags = luck.choice(({}, {"line": "A"}, {"line": "B", "site": "oslo"}))
                store.put_device(device_id, info={"device_type": board, "board": "Pi5 100% É", "tags": tags})
            if model is not None:
                store.put_device(device_id, state={"active": {"model": model}, "governor": {"runs": model}})
            if age_s is not None:
                told = {"cpu_usage_percent": 2.0}
                if luck.random() < 0.7:
                    p95, energy_mj, told["temperature_c"] = map(float, luck.choices(range(9), k=3))
                    told["latency_ms"] = Latency(p50=1.0, p95=p95, max=9.0)
                    told["energy"] = Energy(source="pmic", energy_mj=energy_mj)
                sample = Telemetry(ts=NOW - age_s, session="s", seq=1, **told)
                store.readings.put({device_id: (sample, NOW - age_s)})
    return FleetList(store=store)


def test_every_question_has_the_answer_that_whole_documents_give(listing):
    documents = [fleet.view(row, NOW) for row in listing.store.devices()]

    for wanted in ASKED:
        expected = [each["id"] for each in documents if matches(each, **wanted)]
        assert [row["id"] for row in listing.page(Sought(**wanted), NOW, limit=1_000, offset=0)] == expected, wanted
        assert listing.count(Sought(**wanted), NOW) == len(expected)
    counts = {word: sum(each["health"] == word for each in documents) for word in fleet.HEALTHS}
    listing.store.add_gaps({"dev-003": 5, "dev-100": 7})
    assert listing.healths_and_gaps(NOW) == (counts, 12)
    assert min(counts.values()) > 0


def test_a_fleet_of_nobody_has_counts(store):
    assert FleetList(store=store).healths_and_gaps(NOW) == (dict.fromkeys(fleet.HEALTHS, 0), 0)


def test_the_fleet_of_a_file_is_counted_and_filtered_by_health_without_its_documents(tmp_path):
    store, asked = Store(tmp_path / "controller.db"), []
    store.connection.set_trace_callback(asked.append)
    FleetList(store=store).healths_and_gaps(NOW)
    FleetList(store=store).count(Sought(health="silent"), NOW)
    store.connection.set_trace_callback(None)

    for sql in asked:
        plan = [row["detail"] for row in store.query(f"EXPLAIN QUERY PLAN {sql}")]
        assert any(step.startswith("SCAN d USING COVERING INDEX idx_devices_id_online") for step in plan), plan
    assert len(asked) == 2
    store.close()


def test_every_order_is_that_of_the_figures_and_pages_are_parts_of_the_whole(listing):
    documents = [fleet.view(row, NOW) for row in listing.store.devices()]

    for order in get_args(Order):
        expected = [each["id"] for each in ordered(documents, order)]
        found = [row["id"] for rows in listing.pages(Sought(sort=order), NOW) for row in rows]
        assert found == expected, order
        assert [row["id"] for row in listing.page(Sought(sort=order), NOW, limit=7, offset=50)] == expected[50:57]


def test_what_a_device_says_anew_takes_the_place_of_what_it_said(store):
    listing = FleetList(store=store)
    store.add_device("a", NOW, approved=True)
    store.put_device(
        "a", info={"device_type": "pi", "tags": {"line": "A", "site": "x"}}, state={"active": {"model": "m"}}
    )
    store.put_device("a", info={"device_type": "pi", "tags": {"line": "B"}}, state={})

    assert [listing.count(Sought(tag=tag), NOW) for tag in ("line=A", "line=B", "site=x")] == [0, 1, 0]
    assert listing.count(Sought(model="m"), NOW) == 0
    store.forget_device("a")
    assert listing.count(Sought(tag="line=B"), NOW) == 0


def test_who_is_away_is_known_from_memory_also_after_a_transaction_that_failed(store):
    store.add_device("a", NOW, approved=True)
    store.put_device("a", online=0, status={"reason": "lost"}, status_at=NOW)
    assert store.away() == {"a"}

    with pytest.raises(ZeroDivisionError), store.transaction():
        store.put_device("a", online=1, status_at=NOW)
        assert store.away() == set()
        raise ZeroDivisionError

    assert store.away() == {"a"}


@pytest.mark.parametrize(
    ("selection", "meant"),
    [
        ({"device_ids": ("b", "c")}, ["b", "c"]),
        ({"tags": ("line=A",)}, ["a", "c"]),
        ({"tags": ("line=A", "line=B"), "device_types": ("pi",)}, ["a", "b"]),
        ({"device_ids": ("b",), "tags": ("line=A",)}, ["a", "b", "c"]),
        ({"device_ids": ("c",), "device_types": ("pi",)}, []),
        ({"device_types": ("nano", "pi")}, ["a", "b", "c"]),
        ({"tags": ("line",)}, None),
        ({}, []),
    ],
)
def test_a_rollout_means_in_sql_the_devices_that_its_selection_matches(store, selection, meant):
    for name, kind, line in (("a", "pi", "A"), ("b", "pi", "B"), ("c", "nano", "A")):
        store.add_device(name, NOW, approved=True)
        store.put_device(name, info={"device_type": kind, "tags": {"line": line}})
    if meant is None:
        with pytest.raises(InvalidError):
            Selection(**selection)
        return
    wanted = Selection(**selection)
    where, given = meaning(wanted)

    assert [row["id"] for row in store.query(f"SELECT id FROM devices WHERE {where} ORDER BY id", given)] == meant
    assert [row["id"] for row in store.devices() if wanted.matches(row["id"], row["info"])] == meant


def test_a_count_of_a_large_fleet_is_told_for_two_seconds_and_a_small_fleet_is_counted_for_each_who_asks():
    store, counts = Store(None), FleetCounts()

    def total(at):
        return counts.look(FleetList(store=store), at).total

    with store.transaction():
        for index in range(SMALL_FLEET):
            store.add_device(f"dev-{index:04d}", NOW, approved=True)
    assert total(NOW) == SMALL_FLEET
    store.add_device("one-more", NOW, approved=True)
    assert total(NOW) == SMALL_FLEET + 1
    store.forget_device("one-more")
    assert total(NOW + SHARED_S - 0.1) == SMALL_FLEET + 1
    assert total(NOW + SHARED_S) == SMALL_FLEET
    store.add_device("one-more", NOW, approved=True)
    assert total(NOW + SHARED_S) == SMALL_FLEET + 1
    store.forget_device("one-more")
    assert total(NOW - 60.0) == SMALL_FLEET, "the clock was set back"
    store.close()
