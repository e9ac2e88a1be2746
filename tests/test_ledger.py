"""Predictions beside what devices report: what counts, how far off, and who drifts."""

import math
import random
import statistics
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.energy import MEASURED
from broker.messages import ActiveModel, Energy
from controller.feedback.book import Book
from controller.feedback.ledger import LIMIT, SLACK, Entry, Watch, family_of, watched
from controller.storage.store import Store
from tests.controlling import controller

MODEL = "digits_cnn_s"
NOW = 1_000_000.0
ENERGIES = st.floats(1e-3, 1e6)


@pytest.fixture
async def running(tmp_path):
    async with controller(tmp_path) as whole:
        yield whole


@pytest.fixture
def book():
    store = Store(None)
    yield Book(store)
    store.close()


def entry(**more):
    known = {"device_id": "pi5-1", "device_type": "raspberry_pi_5", "model": MODEL, "actual_mj": 10.0, "source": "pmic"}
    return Entry(**{**known, "at": NOW, "predicted_mj": 12.0, "low_mj": 9.0, "high_mj": 15.0, **more})


def a_watch(**more):
    known = {"device_id": "pi5-1", "model": MODEL, "source": "pmic", "baseline_mj": 10.0, "deployment_id": "d1"}
    return Watch(**{**known, "read_at": NOW, **more})


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("mobilenetv3_small_075", "mobilenetv3"),
        ("resnet50", "resnet"),
        ("mobilenet_v1_untrained", "mobilenet_v1"),
        ("tf_efficientnet_lite0", "efficientnet_lite"),
        ("efficientnet_b0", "efficientnet"),
        ("digits_cnn_s", "digits_cnn"),
        ("digits-mlp", "digits_mlp"),
        ("vit_base_patch16_224", "vit"),
        ("123", "123"),
        ("", ""),
    ],
)
def test_a_family_is_read_from_the_name(model, family):
    assert family_of(model) == family


def some_entries(count, luck):
    for _ in range(count):
        low_mj = luck.choice((None, luck.uniform(5.0, 12.0)))
        yield entry(
            device_id=luck.choice(("a", "b")),
            device_type=luck.choice(("pi4", "pi5", "bbb")),
            model=luck.choice((MODEL, "resnet18", "resnet50", "vit_tiny")),
            source=luck.choice(("pmic", "model", "simulated")),
            simulated=luck.random() < 0.4,
            predicted_mj=luck.choice((None, 9.0, luck.uniform(5.0, 20.0))),
            low_mj=low_mj,
            high_mj=luck.choice((None, 3.0))
            if low_mj is None
            else luck.choice((None, low_mj + luck.uniform(-1.0, 4.0))),
            at=NOW - luck.choice((0.0, 86_400.0, 604_799.0, luck.uniform(-10.0, 4e6))),
        )


def told_by(entries):
    """Return what one entry after the other says of predictions."""
    errors = [each.error_percent for each in entries]
    held = [each.inside for each in entries if each.inside is not None]
    return {
        "n": len(errors),
        "mape_percent": statistics.fmean(map(abs, errors)) if errors else None,
        "median_ape_percent": statistics.median(map(abs, errors)) if errors else None,
        "bias_percent": statistics.fmean(errors) if errors else None,
        "coverage_percent": 100 * statistics.fmean(held) if held else None,
    }


def is_told(figures, entries):
    assert {name: figures[name] for name in told_by(entries)} == pytest.approx(told_by(entries), abs=1e-3)


@pytest.mark.parametrize("of", [{}, {"device_id": "a"}, {"device_type": "pi5"}, {"device_id": "nobody"}])
def test_the_summary_says_of_predictions_what_each_entry_says(store, of):
    book = Book(store)
    with store.transaction():
        for each in some_entries(300, random.Random(7)):
            book.add(each)
    entries = [each for each in book.entries() if all(getattr(each, name) == value for name, value in of.items())]
    told = book.summary(NOW, **of)

    assert told["total"] == len(entries)
    untrue = Counter(each.source for each in entries if not each.counts_as_truth)
    assert told["not_counted"] == untrue
    for simulated, figures in (False, told), (True, told["simulated"]):
        judged = [e for e in entries if e.simulated == simulated and e.teaches and e.error_percent is not None]
        is_told(figures, judged)
        for kind, key in (("per_device_type", "device_type"), ("per_family", "family")):
            assert list(figures[kind]) == sorted({getattr(each, key) for each in judged})
            for name, found in figures[kind].items():
                is_told(found, [each for each in judged if getattr(each, key) == name])
        ages_s = pairwise((-math.inf, 86_400, 604_800, 2_592_000, math.inf))
        for (young_s, old_s), found in zip(ages_s, figures["by_age"], strict=True):
            is_told(found, [each for each in judged if young_s <= NOW - each.at < old_s])


def test_what_is_asked_by_board_alone_is_what_the_whole_summary_says(store):
    book = Book(store)
    with store.transaction():
        for each in some_entries(200, random.Random(5)):
            book.add(each)
    found, named = book.summary(NOW), ("mape_percent", "coverage_percent")

    for simulated, boards in (0, found["per_device_type"]), (1, found["simulated"]["per_device_type"]):
        rows = {row["device_type"]: row for row in book.errors_by_type() if row["simulated"] == simulated}
        assert rows.keys() == boards.keys() == {"pi4", "pi5", "bbb"}
        for board, said in boards.items():
            assert [rows[board][name] for name in named] == pytest.approx([said[name] for name in named], abs=1e-3)


@given(st.text())
def test_any_name_has_a_family(model):
    assert bool(family_of(model)) == bool(model)


@pytest.mark.parametrize(
    ("source", "simulated", "where"),
    [
        *((source, False, "real") for source in sorted(MEASURED)),
        *((source, False, "not_counted") for source in ("model", "simulated")),
        *((source, True, "not_counted") for source in ("ina3221", "model")),
        ("simulated", True, "simulated"),
    ],
)
def test_only_what_a_meter_measured_is_in_the_figures_and_a_simulated_device_has_its_own(
    book, source, simulated, where
):
    book.add(entry(source=source, simulated=simulated))
    told = book.summary(NOW)

    assert (told["n"], told["simulated"]["n"]) == (int(where == "real"), int(where == "simulated"))
    assert told["not_counted"] == ({} if where == "real" else {source: 1})
    assert sum(age["n"] for age in told["by_age"]) == told["n"]
    figures = {"real": told, "simulated": told["simulated"]}.get(where)
    assert figures is None or (figures["mape_percent"], figures["coverage_percent"]) == (20.0, 100.0)


def test_a_prediction_that_was_too_high_has_a_positive_error():
    assert entry().error_percent == 20.0
    assert entry(predicted_mj=None).error_percent is None
    assert entry(low_mj=11.0).inside is False


@given(st.lists(st.floats(0.97, 1.03), min_size=1, max_size=200))
def test_a_board_that_repeats_itself_within_three_percent_is_never_accused(factors):
    watch = a_watch()
    for factor in factors:
        watch = watched(watch, 10 * factor, NOW)

    assert not watch.alarm
    assert watch.total == 0.0


@pytest.mark.parametrize(("factor", "within"), [(1.10, 6), (1.25, 2), (1.5, 1)])
def test_a_board_that_costs_more_is_told_within_a_few_minutes(factor, within):
    watch, readings = a_watch(), 0
    while not watch.alarm:
        readings += 1
        watch = watched(watch, 10 * factor, NOW + 60 * readings)

    assert readings <= within
    assert watch.since == NOW + 60
    assert watch.by_percent == pytest.approx(100 * (factor - 1))


@given(st.lists(ENERGIES, max_size=50))
def test_the_sum_is_never_negative_and_an_alarm_needs_its_limit(energies):
    watch = a_watch()
    for number, energy_mj in enumerate(energies):
        before, watch = watch, watched(watch, energy_mj, NOW + number)
        assert 0 <= watch.total <= 2 * LIMIT
        assert not watch.alarm or before.alarm or watch.total >= LIMIT
        assert (watch.since is None) == (watch.total == 0)
    well = math.ceil(2 * LIMIT / SLACK) + 1
    for _ in range(well):
        watch = watched(watch, 10.0, NOW)
    assert not watch.alarm


async def deployed(running, device, result, model=MODEL):
    """Deploy `model` and let the device end it with `result`."""
    answer = await running.deploy(device_id=device.id, model_name=model)
    deployment_id = answer.json()["deployment_id"]
    await device.next_command("deploy")
    await device.ack(deployment_id, "succeeded", 5, result=result)
    await running.until_phase(deployment_id, "succeeded")
    return deployment_id


@pytest.mark.parametrize(("source", "counts"), [("pmic", True), ("model", False), ("simulated", False)])
async def test_a_deployment_is_entered_beside_its_prediction_and_only_a_meter_tells_the_truth(running, source, counts):
    async with running.joined() as device:
        deployment_id = await deployed(running, device, {"energy_mj": 5.0, "energy_source": source})
        told = await running.get("/api/ledger")

    first = told["entries"][0]
    assert (first["deployment_id"], first["actual_mj"], first["source"]) == (deployment_id, 5.0, source)
    assert first["predicted_mj"] > 0
    assert first["family"] == "digits_cnn"
    assert first["counts_as_truth"] is counts
    assert told["summary"]["n"] == int(counts)
    assert ("raspberry_pi_5" in told["summary"]["per_device_type"]) is counts


async def test_a_benchmark_is_entered_without_a_deployment(running):
    async with running.joined() as device:
        await running.post("/api/devices/pi5-1/command", op="bench", model=MODEL)
        bench = await device.next_command("bench")
        result = {"model": MODEL, "energy_mj": 5.0, "energy_source": "pmic"}
        await device.ack(bench.id, "succeeded", 2, op="bench", result=result)
        await device.ack(bench.id, "succeeded", 2, op="bench", result=result)
        await running.until(lambda: has_entries(running, 1))
        told = await running.get("/api/ledger", device_type="raspberry_pi_5")
        elsewhere = await running.get("/api/ledger", device_type="jetson_nano_2gb")

    assert [each["deployment_id"] for each in told["entries"]] == [None]
    assert elsewhere["entries"] == []


async def has_entries(running, count):
    return (await running.get("/api/ledger"))["total"] == count


@pytest.mark.parametrize(
    "result", [{"energy_mj": 5.0}, {"energy_mj": -1, "energy_source": "pmic"}, {"latency_p50_ms": 3}]
)
async def test_a_result_without_an_energy_and_its_source_is_no_entry(running, result):
    async with running.joined() as device:
        await deployed(running, device, result)
        told = await running.get("/api/ledger")

    assert told["total"] == 0


async def drift_alarm(running, device, factor):
    """Let a device report `factor` times what it reported at deployment, and have it looked at for two minutes."""
    bookkeeping = running.parts.service.bookkeeping
    deployment_id = await deployed(running, device, {"energy_mj": 5.0, "energy_source": "pmic"})
    active = ActiveModel(model=MODEL, artifact_sha256="0" * 64, runtime="onnxruntime", deployment_id=deployment_id)
    await device.report(phase="running", active=active)
    await device.sample(1, model=MODEL, energy=Energy(source="pmic", energy_mj=5.0 * factor))
    await running.until(lambda: has_reading(running))
    at = running.parts.clock()
    for minute in (1, 2):
        bookkeeping.look(at + minute * 60)
    return (await running.get("/api/ledger"))["drift"]


async def has_reading(running):
    return (await running.get("/api/devices/pi5-1"))["device"]["latest"] is not None


async def test_a_device_that_costs_more_than_at_deployment_raises_an_alarm_that_is_an_event(running):
    async with running.joined() as device:
        drift = await drift_alarm(running, device, 1.6)
        events = (await running.get("/api/logs", type="drift"))["logs"]

    assert [(each["device_id"], each["model"], each["alarm"]) for each in drift] == [("pi5-1", MODEL, True)]
    assert drift[0]["by_percent"] == pytest.approx(60)
    assert "60 % more than when it was deployed" in events[0]["text"]


async def test_a_device_that_costs_what_it_did_raises_none(running):
    async with running.joined() as device:
        assert await drift_alarm(running, device, 1.02) == []


def test_a_watch_that_stands_still_tells_no_percentage():
    assert replace(a_watch(), readings=0).by_percent == 0.0
