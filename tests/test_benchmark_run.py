"""A benchmark measures rest, then runs long enough for its meter, and says what its figures rest on."""

import time
from threading import Event, Lock

import pytest

from broker.messages import PowerSensor, PowerState
from edge_agent.bench import percentile
from edge_agent.benchmark.figures import Plan
from edge_agent.benchmark.rest import Rest
from edge_agent.benchmark.run import READINGS, benchmark
from edge_agent.power.meter import CounterMeter, NoMeter, PowerMeter
from edge_agent.runtimes.onnx import OnnxRuntime
from edge_agent.work import StoppedError
from tests.tiny_models import slow_model, tiny_model

IDLE_MW, BUSY_MW = 2_000.0, 5_000.0
QUICK = Plan(runs=3, warmup=1, idle_s=0.2)


class Watched:
    """A session that tells whether it worked in the last moments, as a meter on the board would see."""

    def __init__(self, session):
        self.session, self.facts, self.worked_at, self.runs = session, session.facts, float("-inf"), 0

    def run(self, sample):
        self.runs += 1
        ran = self.session.run(sample)
        self.worked_at = time.monotonic()
        return ran

    def difference(self, sample, output):
        return self.session.difference(sample, output)

    def power_mw(self):
        return BUSY_MW if time.monotonic() - self.worked_at < 0.1 else IDLE_MW


@pytest.fixture
def session(tmp_path):
    def load(content):
        path = tmp_path / "m.onnx"
        path.write_bytes(content)
        return Watched(OnnxRuntime().load(path))

    return load


def run(session, meter, plan=QUICK, **options):
    return benchmark(session, meter, plan, stop=Event(), turn=Lock(), **options)


def test_gross_and_net_energy_come_from_the_power_during_the_runs(session):
    watched = session(slow_model(size=64))
    sensor = PowerSensor(source="ina3221", rail="VDD_IN", rate_hz=50.0)

    figures = run(watched, PowerMeter(sensor=sensor, read_mw=watched.power_mw, step_mw=40.0))

    energy, per_inference_s = figures.energy, 1 / figures.throughput_per_s
    assert energy.idle_mw == IDLE_MW
    assert energy.power_mw == pytest.approx(BUSY_MW)
    assert energy.gross_mj == pytest.approx(BUSY_MW * per_inference_s)
    assert energy.net_mj == pytest.approx((BUSY_MW - IDLE_MW) * per_inference_s)
    assert (energy.source, energy.rail, energy.rate_hz) == ("ina3221", "VDD_IN", 50.0)
    assert 0 < energy.uncertainty_percent < 10


def test_the_runs_are_long_enough_for_twenty_readings_of_the_meter(session):
    watched = session(tiny_model())
    sensor = PowerSensor(source="hwmon", rail="ina226", rate_hz=50.0)

    figures = run(watched, PowerMeter(sensor=sensor, read_mw=watched.power_mw))

    assert figures.inferences > QUICK.runs
    assert figures.ended_at - figures.started_at >= READINGS / 50 * 0.99


def test_a_counter_is_read_at_both_ends_of_the_runs(session):
    watched = session(tiny_model())
    sensor = PowerSensor(source="rapl", rail="psys", rate_hz=1_000.0)
    began = time.monotonic()

    def read_uj():
        return int((time.monotonic() - began) * 3_000_000) % 700_000

    figures = run(watched, CounterMeter(sensor=sensor, read_uj=read_uj, range_uj=700_000), Plan(min_s=0.5, idle_s=0.2))

    assert figures.energy.power_mw == pytest.approx(3_000, rel=0.01)
    assert figures.energy.idle_mw == pytest.approx(3_000, rel=0.01)
    assert figures.energy.net_mj == pytest.approx(0, abs=0.01 * figures.energy.gross_mj)


def test_a_meter_that_falls_silent_gives_no_energy_and_says_so(session):
    sensor = PowerSensor(source="pmic", rail="pmic rails", rate_hz=50.0)

    figures = run(session(tiny_model()), PowerMeter(sensor=sensor, read_mw=lambda: None))

    assert figures.energy is None
    assert "the meter gave no reading" in "; ".join(figures.notes)


def test_without_a_meter_there_is_latency_and_no_energy(session):
    watched = session(tiny_model())

    figures = run(watched, NoMeter())

    assert figures.energy is None
    assert "energy_mj" not in figures.result
    assert figures.inferences == QUICK.runs
    assert watched.runs == QUICK.warmup + QUICK.runs + len(watched.facts.samples)
    assert figures.latency_p50_ms <= figures.latency_p95_ms <= figures.latency_max_ms
    assert figures.throughput_per_s == pytest.approx(1_000 / figures.latency_mean_ms, rel=0.9)


def test_modelled_power_is_multiplied_not_sampled_and_has_no_rest(session):
    sensor = PowerSensor(source="model", rail="board")

    figures = run(session(tiny_model()), PowerMeter(sensor=sensor, read_mw=lambda: 2_500.0))

    assert figures.energy.gross_mj == pytest.approx(2.5 * figures.latency_mean_ms)
    assert figures.result["energy_source"] == "model"
    assert figures.energy.net_mj is None
    assert figures.energy.uncertainty_percent is None


def test_heat_throttling_and_wrong_answers_are_noted(session):
    figures = run(
        session(tiny_model(wrong_golden=True)), NoMeter(), senses=lambda: PowerState(temp_c=81.5, throttled=True)
    )

    assert figures.temperature_c == figures.result["temperature_c"] == 81.5
    assert "the device was throttled" in figures.notes
    assert "its answers differ" in figures.notes[-1]


def test_a_device_at_work_is_not_said_to_rest():
    assert Rest(started_at=0, ended_at=1, busy_cores=0.1).note is None
    assert "other work kept 1.5 of" in Rest(started_at=0, ended_at=1, busy_cores=1.5).note


def test_a_benchmark_ends_when_it_is_told_to(session):
    stop = Event()
    stop.set()

    with pytest.raises(StoppedError):
        benchmark(session(tiny_model()), NoMeter(), QUICK, stop=stop, turn=Lock())


def test_percentiles_are_ranks():
    assert percentile([5.0, 1.0, 3.0], 50) == 3.0
