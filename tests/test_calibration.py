"""Calibrating a device: the workflow as a machine, and carried out through REST."""

import asyncio

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from broker.messages import PowerSensor
from controller.feedback.calibration import (
    ANSWER_WITHIN_S,
    FEWEST_RUNS,
    MOST_TRIES,
    Calibration,
    Item,
    Seen,
    advance,
    asking,
    ending,
    next_model,
    skipping,
)
from controller.feedback.ledger import Entry
from tests.calibrating import FACTOR, METERED, PI_5, SIMULATED, ended, predicted, prior_of, tick
from tests.controlling import controller
from tests.listing import listed_network
from tests.workshop import WITH_TORCH


@pytest.fixture
async def running(tmp_path):
    async with controller(tmp_path, listed={}) as whole:
        yield whole


def an_entry(source="pmic", energy_mj=5.0, **more):
    return Entry(device_id="pi5-1", model="m0", actual_mj=energy_mj, source=source, at=0.0, **more)


def a_calibration(count=4):
    items = tuple(Item(model=f"m{i}") for i in range(count))
    return Calibration(id="c1", device_id="pi5-1", who="cli", created_at=0.0, items=items)


class AnyOrder(RuleBasedStateMachine):
    """A device goes away, answers, fails or says nothing, in any order."""

    def __init__(self):
        super().__init__()
        self.state, self.at, self.asked, self.before = a_calibration(), 0.0, 0, None

    def see(self, seen):
        self.before = self.state
        self.state, todo = advance(self.state, seen, self.at)
        if todo == "ask":
            assert seen.obstacle is None
            assert self.state.asked is None
            self.asked += 1
            self.state = asking(self.state, f"bench-{self.asked}", self.at)
        elif todo == "fit":
            assert self.state.measured >= FEWEST_RUNS
            self.state = ending(self.state, "done", None, self.at)

    @rule()
    def is_idle(self):
        self.see(Seen())

    @rule()
    def goes_away(self):
        self.see(Seen(obstacle="the device is away", away=True))

    @rule()
    def is_deployed_to(self):
        self.see(Seen(obstacle="a model is being deployed"))

    @precondition(lambda self: self.state.asked)
    @rule(source=st.sampled_from(["pmic", "model", "simulated"]), away=st.booleans())
    def answers(self, source, away):
        self.see(Seen(answer="succeeded", result=an_entry(source), away=away, obstacle="away" if away else None))

    @precondition(lambda self: self.state.asked)
    @rule()
    def fails(self):
        self.see(Seen(answer="failed", error="no memory"))

    @precondition(lambda self: self.state.asked)
    @rule()
    def never_takes_it(self):
        self.see(Seen(lost=True, away=True, obstacle="the device is away"))

    @rule(seconds=st.floats(0, 2 * ANSWER_WITHIN_S))
    def wait(self, seconds):
        self.at += seconds

    @invariant()
    def one_at_a_time_and_an_end_is_an_end(self):
        assert sum(item.outcome == "asked" for item in self.state.items) <= 1
        assert all(item.tries <= MOST_TRIES for item in self.state.items)
        assert all(item.source == "pmic" for item in self.state.items if item.outcome == "measured")
        if self.before is not None and self.before.ended:
            assert self.state == self.before

    def teardown(self):
        for _ in range(4 * MOST_TRIES * len(self.state.items)):
            self.is_idle()
            if self.state.asked:
                self.fails()
        assert self.state.ended


AnyOrder.TestCase.settings = settings(max_examples=40, stateful_step_count=30)
TestAnyOrder = AnyOrder.TestCase


def test_a_model_that_cannot_be_asked_for_is_skipped_with_its_reason():
    state = skipping(a_calibration(1), "not in the store")

    ended, todo = advance(state, Seen(), 1.0)

    assert (ended.state, todo) == ("failed", "")
    assert ended.items[0].reason == "not in the store"
    assert next_model(a_calibration()) == "m0"


def test_a_benchmark_without_an_answer_is_given_up():
    state = asking(a_calibration(), "b1", 0.0)

    after, todo = advance(state, Seen(), ANSWER_WITHIN_S)

    assert (after.items[0].outcome, after.items[0].reason, todo) == ("skipped", "no answer", "ask")


async def answer_benches(running, device, source, *, failing=(), seq=2):
    """Answer every benchmark with `FACTOR` times the prior, until the calibration has ended."""
    while not (found := (await running.get("/api/devices/pi5-1/calibration"))["calibration"])["ended"]:
        await tick(running)
        asked = next((m for m in found["models"] if m["outcome"] == "asked"), None)
        if asked is None or device.commands.empty():
            await asyncio.sleep(0)
            continue
        bench = await device.next_command("bench")
        result = {
            "model": bench.model,
            "energy_mj": FACTOR * await prior_of(running, bench.model),
            "energy_source": source,
        }
        if bench.model in failing:
            fault = {"code": "no_memory", "msg": "not enough memory"}
            await device.ack(bench.id, "failed", seq, op="bench", error=fault)
        else:
            await device.ack(bench.id, "succeeded", seq, op="bench", result=result)
        await running.until(lambda b=bench: ended(running, b.id))
    return found


async def test_a_calibration_measures_one_model_after_another_and_the_predictions_follow(running):
    async with running.joined(info=METERED) as device:
        begun = await running.post("/api/devices/pi5-1/calibrate")
        again = await running.post("/api/devices/pi5-1/calibrate")
        done = await answer_benches(running, device, "pmic", failing={"digits_cnn_l"})
        told = await running.get("/api/devices/pi5-1/calibration")
        own = await predicted(running, "digits_cnn_s", device_id="pi5-1")
        board = await predicted(running, "digits_cnn_s", device_type=PI_5)
        listed = (await running.get("/api/devices"))["devices"][0]
        events = [event["text"] for event in (await running.get("/api/logs", type="calibration"))["logs"]]

    assert (begun.status_code, again.status_code) == (202, 409)
    assert done["state"] == "done"
    assert done["before_percent"] == pytest.approx(100 * (1 - 1 / FACTOR), abs=0.1)
    assert done["after_percent"] < done["before_percent"] / 2
    assert [m["reason"] for m in done["models"] if m["outcome"] == "skipped"] == ["not enough memory"]
    assert told["correction"]["cost_ratio"] == pytest.approx(FACTOR, rel=0.01)
    assert own["energy_mj"] == pytest.approx(FACTOR * board["energy_mj"], rel=0.1)
    assert any(reason.startswith("calibrated: 2 models measured") for reason in own["reasons"])
    assert own["predictor"].endswith("+pi5-1")
    assert listed["calibration"]["after_percent"] == done["after_percent"]
    assert any("skips digits_cnn_l: not enough memory" in text for text in events)
    assert any("error 66.7 % before" in text for text in events)


async def test_the_gate_uses_the_correction_on_the_device_that_it_was_made_for_only(running):
    async with running.joined(info=METERED) as device, running.joined("pi5-2", info=METERED):
        await running.post("/api/devices/pi5-1/calibrate")
        await answer_benches(running, device, "pmic")
        own = (await running.deploy(device_id="pi5-1", model_name="digits_cnn_s", dry_run=True)).json()
        other = (await running.deploy(device_id="pi5-2", model_name="digits_cnn_s", dry_run=True)).json()

    assert own["model"]["energy_mj"] == pytest.approx(FACTOR * other["model"]["energy_mj"], rel=0.1)


async def test_a_simulated_device_is_calibrated_by_its_simulation_and_only_while_it_is_one(running):
    async with running.joined(info=SIMULATED) as device:
        await running.post("/api/devices/pi5-1/calibrate")
        done = await answer_benches(running, device, "simulated")
        told = await running.get("/api/devices/pi5-1/calibration")
        own = await predicted(running, "digits_cnn_s", device_id="pi5-1")
        await device.join(**METERED)
        await running.until(lambda: is_real(running))
        real = await predicted(running, "digits_cnn_s", device_id="pi5-1")

    assert done["state"] == "done"
    assert told["correction"]["simulated"] is True
    assert "simulated" in told["correction"]["sentence"]
    assert real["energy_mj"] == pytest.approx(own["energy_mj"] / FACTOR, rel=0.1)


async def is_real(running):
    return not (await running.get("/api/devices/pi5-1"))["device"]["simulated"]


@pytest.mark.parametrize("info", [{}, {"power_sensor": PowerSensor(source="model")}])
async def test_a_device_without_a_meter_is_not_calibrated(running, info):
    async with running.joined(info=info):
        answer = await running.post("/api/devices/pi5-1/calibrate")

    assert (answer.status_code, answer.json()["code"]) == (409, "no_meter")
    assert "--csv" in answer.json()["hint"]


async def test_energy_that_was_not_measured_calibrates_nothing(running):
    async with running.joined(info=METERED) as device:
        await running.post("/api/devices/pi5-1/calibrate")
        found = await answer_benches(running, device, "model")

    assert found["state"] == "failed"
    assert {m["outcome"] for m in found["models"]} == {"skipped"}
    assert "was not measured" in found["models"][0]["reason"]


async def test_a_calibration_waits_while_the_device_is_away_or_deployed_to(running):
    async with running.joined(info=METERED) as device:
        await device.leave("shutdown")
        await running.until(lambda: is_offline(running))
        await running.post("/api/devices/pi5-1/calibrate")
        await tick(running)
        away = (await running.get("/api/devices/pi5-1/calibration"))["calibration"]
        await device.join(**METERED)
        await running.until(lambda: running.knows("pi5-1"))
        await running.deploy(device_id="pi5-1", model_name="digits_mlp")
        await tick(running)
        busy = (await running.get("/api/devices/pi5-1/calibration"))["calibration"]

    assert (away["state"], away["reason"]) == ("paused", "the device is away")
    assert (busy["state"], busy["reason"]) == ("paused", "digits_mlp is being deployed")


async def is_offline(running):
    return running.parts.service.store.device("pi5-1")["online"] == 0


async def test_a_calibration_goes_on_after_the_controller_was_started_again(tmp_path):
    async with controller(tmp_path, listed={}) as first, first.joined(info=METERED) as device:
        await first.post("/api/devices/pi5-1/calibrate")
        await tick(first)
        bench = await device.next_command("bench")
    async with controller(tmp_path, listed={}, epoch="e2") as second, second.joined(info=METERED) as device:
        energy_mj = FACTOR * await prior_of(second, bench.model)
        result = {"model": bench.model, "energy_mj": energy_mj, "energy_source": "pmic"}
        await device.ack(bench.id, "succeeded", 2, op="bench", result=result)
        await second.until(lambda: ended(second, bench.id))
        done = await answer_benches(second, device, "pmic")

    assert done["state"] == "done"
    assert done["measured"] == done["total"]


async def test_a_cancelled_calibration_ends_and_the_device_hears_of_it(running):
    async with running.joined(info=METERED) as device:
        await running.post("/api/devices/pi5-1/calibrate")
        await tick(running)
        bench = await device.next_command("bench")
        answer = await running.post("/api/devices/pi5-1/calibrate/cancel")
        heard = await device.next_command("cancel")
        again = await running.post("/api/devices/pi5-1/calibrate/cancel")

    assert answer.json()["calibration"]["state"] == "cancelled"
    assert heard.target == bench.id
    assert again.status_code == 409


WELL_KNOWN = {
    name: listed_network(name, gmacs=gmacs, dw_gmacs=gmacs / 10, popular=name != "obscure")
    for name, gmacs in (("small_net", 0.05), ("middle_net", 0.2), ("large_net", 0.6), ("obscure", 0.3))
}


@WITH_TORCH
async def test_well_known_networks_are_made_for_a_calibration_with_random_weights(tmp_path):
    async with controller(tmp_path, listed=WELL_KNOWN) as running, running.joined(info=METERED) as device:
        await running.post("/api/devices/pi5-1/calibrate")
        done = await answer_benches(running, device, "pmic")
        made = {job.order.model: job for job in running.parts.workshop.jobs.find()}

    assert set(made) == {"small_net_untrained", "middle_net_untrained", "large_net_untrained"}
    assert {job.order.source.pretrained for job in made.values()} == {False}
    assert {m["model"] for m in done["models"] if m["outcome"] == "measured"} > set(made)


@WITH_TORCH
async def test_a_network_that_cannot_be_made_is_skipped_with_the_reason(tmp_path):
    async with (
        controller(tmp_path, worker="cannot", listed=WELL_KNOWN) as running,
        running.joined(info=METERED) as device,
    ):
        await running.post("/api/devices/pi5-1/calibrate")
        done = await answer_benches(running, device, "pmic")

    skipped = {m["model"]: m["reason"] for m in done["models"] if m["outcome"] == "skipped"}
    assert set(skipped) == {"small_net_untrained", "middle_net_untrained", "large_net_untrained"}
    assert all("could not be made" in reason for reason in skipped.values())
    assert done["state"] == "done"
