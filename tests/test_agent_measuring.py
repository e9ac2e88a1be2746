"""A probe times each inference alone, and meters some of them at once."""

import itertools
import statistics
from threading import Event, Lock

import pytest

from broker.commands import Probe
from broker.messages import PowerSensor
from edge_agent.bench import BLOCK_S, FEWEST, measure
from edge_agent.power.meter import CounterMeter, NoMeter, PowerMeter
from edge_agent.runtimes.facts import ModelFacts
from edge_agent.runtimes.session import Ran
from edge_agent.work import StoppedError


class Timed:
    """A session whose inferences take what they are told to, one after the other, on the test's clock."""

    facts = ModelFacts()

    def __init__(self, *times_s, turn=None):
        self.times_s, self.turn, self.asked, self.now = itertools.cycle(times_s), turn, [], 0.0

    def run(self, sample):
        assert self.turn is None or self.turn.locked()
        self.asked.append(sample)
        wall_s = next(self.times_s)
        self.now += wall_s
        return Ran(None, wall_s)


def measured(session, meter=None, *, turn=None, stop=None, **probe):
    asked = Probe(**({"warmup": 0} | probe))
    return measure(session, meter or NoMeter(), asked, stop=stop or Event(), turn=turn or Lock())


def test_every_inference_is_timed_alone_and_none_is_lost():
    times_s = [0.001, 0.002, 0.003, 0.010]
    session = Timed(*times_s)

    found = measured(session, inferences=40)
    all_ms = [each * 1_000 for each in times_s] * 10
    assert (found.inferences, session.asked) == (40, list(range(40)))
    assert (found.latency_p50_ms, found.latency_p95_ms, found.latency_max_ms) == pytest.approx((3.0, 10.0, 10.0))
    assert found.latency_mean_ms == pytest.approx(statistics.fmean(all_ms))
    assert found.latency_std_ms == pytest.approx(statistics.pstdev(all_ms))


@pytest.mark.parametrize("inferences", [1, FEWEST, 7, 200])
def test_it_runs_as_often_as_asked_and_a_few_times_at_least(inferences):
    assert measured(Timed(0.0001), inferences=inferences).inferences == max(inferences, FEWEST)


def test_energy_is_power_times_what_each_took_whatever_is_metered_at_once():
    session = Timed(0.001, 0.003)
    meter = PowerMeter(sensor=PowerSensor(source="pmic", rail="board"), read_mw=lambda: 2_000.0)

    found = measured(session, meter, inferences=100)
    assert (found.energy_mj, found.energy_source) == (pytest.approx(4.0), "pmic")


def test_a_counter_is_read_at_both_ends_of_a_block_and_says_the_same():
    session, read = Timed(0.001), []

    def read_uj():
        read.append(session.now)
        return round(session.now * 5_000_000)

    meter = CounterMeter(sensor=PowerSensor(source="rapl", rail="package"), read_uj=read_uj, range_uj=None)
    assert measured(session, meter, inferences=100).energy_mj == pytest.approx(5.0)
    assert len(read) == 2 * (1 + round(99 * 0.001 / BLOCK_S))


def test_what_is_slow_has_its_turn_one_by_one_and_ends_when_told_to():
    turn, stop = Lock(), Event()
    session = Timed(BLOCK_S, turn=turn)
    assert measured(session, turn=turn, inferences=5).inferences == 5

    stop.set()
    with pytest.raises(StoppedError):
        measured(session, stop=stop)
    assert not turn.locked()
