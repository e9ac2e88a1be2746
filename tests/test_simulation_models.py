"""Simulated boards: every figure follows from the seed, and stays within what a board could show."""

from collections import Counter
from dataclasses import replace

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import ArtifactError, InvalidError
from controller.models.shipped import MODELS
from edge_agent.boards import BOARDS
from edge_agent.simulation import battery, heat, network, power, sun
from edge_agent.simulation.body import born
from edge_agent.simulation.clock import UNSET_TS, Clock, Jump
from edge_agent.simulation.draws import draws
from edge_agent.simulation.faults import SAYS, names_in, planned
from edge_agent.simulation.mix import DEFAULT, members, parts_in
from edge_agent.simulation.onnx_texts import read_texts
from edge_agent.simulation.runtime import SimulatedRuntime
from edge_agent.simulation.trace import trace
from tests.tiny_models import tiny_model

HOUR_S = 3_600.0
MIX = parts_in(DEFAULT)


def life(seed, *, faults=SAYS, load=0.5):
    [member] = members(MIX, 1, seed=seed)
    wrong = planned(faults, seed=seed, device_id=member.id, run_s=HOUR_S)
    return list(trace(member, wrong, seed=seed, run_s=HOUR_S, load=load))


def test_two_runs_with_one_seed_are_equal_and_with_another_are_not():
    assert life(7) == life(7)
    assert life(7) != life(8)


def test_a_fleet_has_the_boards_of_its_mix_whatever_its_size():
    for count in (10, 50, 1_000):
        kinds = Counter(member.device_type for member in members(MIX, count, seed=1))
        shares = {kind: n / count for kind, n in kinds.items()}
        assert shares == {"jetson_nano_2gb": 0.4, "raspberry_pi_5": 0.4, "beaglebone_black": 0.2}


def test_a_larger_fleet_of_one_seed_begins_with_the_smaller_one():
    assert members(MIX, 40, seed=3)[:10] == members(MIX, 10, seed=3)


@pytest.mark.parametrize("text", ["toaster:1", "raspberry_pi_5:x", "raspberry_pi_5:-1", "raspberry_pi_5:nan", ""])
def test_a_mix_that_is_none_is_refused_with_what_to_write(text):
    with pytest.raises(InvalidError) as refused:
        parts_in(text)

    assert "raspberry_pi_5" in refused.value.hint


def test_a_fault_that_nobody_knows_is_refused_with_the_known_ones():
    with pytest.raises(InvalidError) as refused:
        names_in("cuts,gremlins")

    assert "gremlins" in refused.value.message
    assert "clock_jumps" in refused.value.hint


def test_faults_come_as_often_as_asked_and_only_those_that_were_named():
    usual = planned(["cuts"], seed=1, device_id="a", run_s=10 * HOUR_S)
    often = planned(["cuts"], seed=1, device_id="a", run_s=10 * HOUR_S, often=5)

    assert 2 < len(often.cuts) / len(usual.cuts) < 8
    assert usual.reboots == usual.flash_full == usual.clock.jumps == ()
    assert usual.weather.calm


@given(load=st.floats(0, 1), temp_c=st.floats(0, 120), seconds=st.floats(0, 1e6), kind=st.sampled_from(sorted(BOARDS)))
def test_a_board_warms_towards_its_end_and_never_beyond_it(load, temp_c, seconds, kind):
    board = BOARDS[kind]
    end_c = board.idle_c + (board.busy_c - board.idle_c) * load

    after = heat.warmed(heat.Heat(temp_c=temp_c), board, load=load, ambient_c=0.0, seconds=seconds)

    assert min(temp_c, end_c) - 1e-6 <= after.temp_c <= max(temp_c, end_c) + 1e-6
    assert after.throttled == (after.temp_c >= board.throttle_c)


def test_a_throttled_board_has_to_cool_down_before_it_is_fast_again():
    board = BOARDS["raspberry_pi_5"]
    hot = heat.Heat(temp_c=board.throttle_c - 1, throttled=True)

    assert heat.warmed(hot, board, load=1.0, ambient_c=30.0, seconds=0.0).throttled
    assert not heat.warmed(replace(hot, throttled=False), board, load=1.0, ambient_c=30.0, seconds=0.0).throttled


@given(
    soc_pct=st.floats(0, 100), drawn_mw=st.floats(0, 20_000), yielded_mw=st.floats(0, 50_000), hours=st.floats(0, 100)
)
def test_a_battery_is_never_emptier_than_empty_nor_fuller_than_full(soc_pct, drawn_mw, yielded_mw, hours):
    before = battery.Battery(capacity_wh=50.0, soc_pct=soc_pct)

    after = battery.after(before, drawn_mw=drawn_mw, yielded_mw=yielded_mw, seconds=hours * HOUR_S)

    assert 0 <= after.soc_pct <= 100
    assert after.charging == (yielded_mw > drawn_mw)
    assert (after.soc_pct >= soc_pct) if yielded_mw >= drawn_mw else (after.soc_pct <= soc_pct)


def test_a_clear_day_yields_what_the_panel_is_rated_for():
    panel = sun.Sun(wh_per_day=120.0)
    wh = sum(sun.yield_mw(panel, second) / 1_000 * 60 / 3_600 for second in range(0, 86_400, 60))

    assert wh == pytest.approx(120.0, rel=0.01)
    assert sun.yield_mw(panel, 0) == sun.yield_mw(panel, 23 * HOUR_S) == 0


def test_a_clock_is_off_while_it_jumped_and_not_set_after_a_boot():
    clock = Clock(skew_s=0.5, jumps=(Jump(at_s=100, by_s=-86_400, until_s=200),), unset_s=30)

    assert clock.reads(1e9, run_s=10, booted_s=5) == UNSET_TS + 5
    assert not clock.is_set(run_s=10, booted_s=5)
    assert clock.reads(1e9, run_s=50, booted_s=5) == 1e9 + 0.5
    assert clock.reads(1e9, run_s=150, booted_s=5) == 1e9 + 0.5 - 86_400
    assert clock.reads(1e9, run_s=200, booted_s=5) == 1e9 + 0.5


def test_weather_does_to_messages_what_it_is_told():
    bad = network.Weather(loss=0.1, duplicates=0.2, reorder=0.3)
    draw = draws(1, "a", "weather")
    fates = [network.passage(bad, draw) for _ in range(5_000)]

    assert network.passage(network.Weather(), draws(1, "a", "weather")) == network.Passage()
    assert sum(f.copies == 0 for f in fates) / 5_000 == pytest.approx(0.1, abs=0.02)
    assert sum(f.copies == 2 for f in fates) / 5_000 == pytest.approx(0.2, abs=0.02)
    assert sum(f.overtaken_s > 0 for f in fates) / 5_000 == pytest.approx(0.3, abs=0.02)


def test_a_slower_board_takes_longer_and_a_throttled_one_longest():
    facts = trained("digits_cnn_l").facts
    took = {kind: power.latency_s(facts, 1, board, throttled=False) for kind, board in BOARDS.items()}

    assert took["raspberry_pi_5"] < took["raspberry_pi_4"] < took["jetson_nano_2gb"] < took["beaglebone_black"]
    assert power.latency_s(facts, 1, BOARDS["raspberry_pi_5"], throttled=True) > took["raspberry_pi_5"]


def trained(name):
    """Return a model of ours, loaded on a simulated Raspberry Pi 5."""
    [member] = members({"raspberry_pi_5": 1.0}, 1, seed=1)
    return SimulatedRuntime(body=born(member, 1)).load(MODELS / f"{name}.onnx")


def test_a_simulated_model_answers_as_its_author_expects():
    model = trained("digits_mlp")
    ran = model.run(0)
    label = model.facts.labels[model.top(ran.output)[0]]

    assert label == model.facts.samples[0].truth
    assert model.difference(0, ran.output) == 0
    with pytest.raises(InvalidError):
        model.infer([1.0])


@pytest.mark.parametrize("path", sorted(MODELS.glob("*.onnx")), ids=lambda path: path.stem)
def test_the_texts_of_a_model_are_those_that_onnx_reads(path):
    assert read_texts(path) == {each.key: each.value for each in onnx.load(path).metadata_props}


@given(cut=st.integers(0, 10_000), junk=st.binary(max_size=40))
def test_a_file_that_is_cut_or_mixed_up_is_refused_or_read(tmp_path_factory, cut, junk):
    whole = tiny_model()
    path = tmp_path_factory.mktemp("models") / "m.onnx"
    path.write_bytes(whole[: cut % len(whole)] + junk)
    try:
        read_texts(path)
    except ArtifactError as refused:
        assert refused.code == "load_failed"
