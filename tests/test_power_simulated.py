"""A simulated board costs what the measured one costs, repeats itself, and heats up when told to."""

import csv
import statistics
from pathlib import Path

import pytest

from edge_agent.boards import BOARDS
from edge_agent.power.modelled import modelled, simulated
from edge_agent.runtimes.facts import ModelFacts
from edge_agent.runtimes.session import Ran
from edge_agent.simulation.board import HEATING_S, SimulatedBoard, SimulatedSession

MLPERF = Path(__file__).resolve().parents[2] / "shared" / "data" / "mlperf_edge_energy.csv"
REFERENCE_S = 0.0063
"""MobileNet-v1 1.0 224 fp32 on one x86 thread of onnxruntime."""


def energy_mj(board, seconds=REFERENCE_S):
    meter = simulated(board)
    return meter.end(board.stretch(None, seconds).wall_s)


def board(device_type="raspberry_pi_5", **options):
    return SimulatedBoard(board=BOARDS[device_type], **options)


@pytest.mark.skipif(not MLPERF.exists(), reason="the measured data is not part of the project")
@pytest.mark.parametrize(
    ("device_type", "measured"), [("raspberry_pi_5", "firefly_rk3588s"), ("raspberry_pi_4", "raspberry_pi_4")]
)
def test_a_mobilenet_costs_within_twice_the_measured_median(device_type, measured):
    with MLPERF.open() as file:
        rows = [r for r in csv.DictReader(file) if r["board"] == measured and r["arch_key"] == "mobilenet-v1_1.0_224"]
    median_mj = statistics.median(float(r["energy_mj"]) for r in rows if r["quantized"] == "0")

    assert median_mj / 2 < energy_mj(board(device_type)) < median_mj * 2


def test_the_same_seed_is_the_same_energy_and_another_is_not():
    assert energy_mj(board(seed=1)) == energy_mj(board(seed=1))
    assert energy_mj(board(seed=1)) != energy_mj(board(seed=2))


def test_a_throttling_board_warms_up_after_its_first_work_and_costs_more():
    clock = [0.0]
    hot = board(heats_after_s=10, now=lambda: clock[0])
    cold_c, before = hot.power.temp_c, energy_mj(hot)
    clock[0] = 10 + HEATING_S
    after = energy_mj(hot)

    assert after > 1.5 * before
    assert hot.power.throttled
    assert hot.power.temp_c > 75 > cold_c


def test_a_board_that_does_not_throttle_stays_as_it_is():
    clock = [0.0]
    calm = board(now=lambda: clock[0])
    energy_mj(calm)
    clock[0] = 1e6

    assert calm.heat == 0
    assert not calm.power.throttled


def test_neighbours_on_this_machine_do_not_slow_the_simulated_board():
    class Slow:
        facts = ModelFacts()

        def run(self, _sample):
            return Ran(None, 9.0)

    session = SimulatedSession(Slow(), board(), iter([5.0, 5.01]).__next__)

    assert session.run(0).wall_s == pytest.approx(0.0383)


def test_a_cold_cache_of_this_machine_is_not_the_boards():
    class Uneven:
        facts = ModelFacts()

        def run(self, _sample):
            return Ran(None, 0.05)

    session = SimulatedSession(Uneven(), board(), iter([0.0, 0.010, 1.0, 1.050]).__next__)

    first, second = session.run(0), session.run(1)
    assert second.wall_s <= 1.21 * first.wall_s
    assert first.wall_s == pytest.approx(0.0383)


def test_a_model_that_tells_its_macs_takes_the_boards_time_however_busy_this_machine_is():
    class Busy:
        facts = ModelFacts(gmacs=0.569)

        def run(self, _sample):
            return Ran(None, 9.0)

    session = SimulatedSession(Busy(), board())
    times = [session.run(0).wall_s for _ in range(200)]

    assert statistics.fmean(times) == pytest.approx(0.0063 * BOARDS["raspberry_pi_5"].slowdown, rel=0.02)
    assert max(times) > min(times)


def test_each_figure_says_where_it_is_from():
    assert simulated(board()).sensor.source == "simulated"
    nominal = modelled(BOARDS["raspberry_pi_4"])
    assert (nominal.sensor.source, nominal.trace()) == ("model", None)
    assert nominal.end(0.5) == BOARDS["raspberry_pi_4"].busy_mw / 2
    assert all(b.source for b in BOARDS.values())
