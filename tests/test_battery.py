"""Hours, shares and peaks follow from energy, rate and idle power; what is unknown stays unknown."""

import pytest

from broker.errors import InvalidError
from controller.predict.battery import BOARDS, Load, Source, outlook


def look(*, energy_mj=100.0, high_mj=120.0, rate_hz=2.0, latency_ms=50.0, idle_mw=1_000.0, **source):
    load = Load(energy_mj=energy_mj, high_mj=high_mj, rate_hz=rate_hz, latency_ms=latency_ms)
    return outlook(load, Source(**source), idle_mw=idle_mw)


def test_the_average_is_inference_and_the_idle_rest_of_the_time():
    found = look()

    assert found.duty == pytest.approx(0.1)
    assert found.average_mw == pytest.approx(0.9 * 1_000 + 2 * 100)
    assert found.wh_per_day == pytest.approx(1.1 * 24)


def test_hours_and_the_share_of_a_solar_day_are_told_for_the_figure_and_the_upper_end():
    found = look(battery_wh=11.0, solar_wh_per_day=52.8)

    assert found.battery_hours == pytest.approx(10)
    assert found.battery_hours_at_high == pytest.approx(11 / 1.14)
    assert found.solar_share == pytest.approx(0.5)
    assert found.net_wh_per_day == pytest.approx(26.4)


def test_without_a_latency_idle_counts_all_the_time_and_the_peak_is_unknown():
    found = look(latency_ms=None, supply_mw=5_000.0)

    assert found.average_mw == pytest.approx(1_000 + 200)
    assert (found.peak_mw, found.supply_carries, found.duty) == (None, "unknown", None)
    assert "no latency is known" in found.notes[0]


@pytest.mark.parametrize(("supply_mw", "carries"), [(2_500.0, "yes"), (2_300.0, "no"), (None, "unknown")])
def test_the_supply_carries_the_peak_or_not(supply_mw, carries):
    found = look(supply_mw=supply_mw)

    assert found.peak_mw == pytest.approx(2_400)
    assert found.supply_carries == carries


def test_a_rate_that_cannot_be_kept_says_so_and_is_counted_at_the_highest_one():
    found = look(rate_hz=40.0)

    assert found.duty == pytest.approx(2)
    assert found.highest_rate_hz == pytest.approx(20)
    assert found.average_mw == pytest.approx(20 * 100)
    assert "40 per second is more than" in found.notes[0]


def test_a_rate_of_nothing_leaves_the_idle_power():
    assert look(rate_hz=0.0).average_mw == pytest.approx(1_000)


def test_without_a_battery_and_sun_there_are_no_hours_and_no_share():
    found = look()

    assert (found.battery_hours, found.solar_share, found.net_wh_per_day) == (None, None, None)
    assert "give battery_wh" in found.notes[0]


@pytest.mark.parametrize(
    "wrong",
    [{"energy_mj": -1.0}, {"rate_hz": -1.0}, {"rate_hz": float("nan")}, {"idle_mw": -1.0}, {"battery_wh": -1.0}],
)
def test_figures_that_make_no_sense_are_refused(wrong):
    with pytest.raises(InvalidError):
        look(**wrong)


def test_every_board_of_the_demo_has_an_idle_power_with_its_source():
    assert {"raspberry_pi_5", "raspberry_pi_4", "jetson_nano_2gb", "beaglebone_black"} <= set(BOARDS)
    assert all(board.source and board.idle_mw < board.supply_mw for board in BOARDS.values())
