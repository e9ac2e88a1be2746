"""Vital signs are real, and what has no sensor is absent."""

import pytest

from edge_agent import vitals


def test_vitals_are_plausible(tmp_path):
    seen = vitals.look(tmp_path)

    assert 0 <= seen.ram_usage_percent <= 100
    assert 0 < seen.ram_usage_mb < vitals.ram_mb()
    assert seen.storage_usage_mb > 0
    assert seen.uptime_seconds > 0


def test_a_machine_without_sensors_has_no_temperature():
    assert vitals.temperature_c(dict) is None
    assert vitals.temperature_c(lambda: {"acpitz": [("", 0.0)]}) is None


def test_the_processors_sensor_is_preferred():
    found = {"nvme": [("", 70.0)], "cpu_thermal": [("", 51.5)]}

    assert vitals.temperature_c(lambda: found) == 51.5
    assert vitals.temperature_c(lambda: {"nvme": [("", 70.0)]}) == 70.0


@pytest.mark.parametrize(
    ("board", "kind"),
    [
        ("Raspberry Pi 5 Model B Rev 1.0", "raspberry_pi_5"),
        ("Raspberry Pi 4 Model B Rev 1.4", "raspberry_pi_4"),
        ("NVIDIA Jetson Nano 2GB Developer Kit", "jetson_nano_2gb"),
        ("TI AM335x BeagleBone Black", "beaglebone_black"),
    ],
)
def test_a_board_is_recognised_by_its_name(board, kind):
    assert vitals.device_type(board) == kind


def test_an_unknown_board_is_generic():
    assert vitals.device_type(None).startswith("generic_")


def test_the_own_address_towards_loopback_is_loopback():
    assert vitals.own_ip("127.0.0.1", 1883) == "127.0.0.1"
    assert vitals.own_ip("no.such.host.invalid", 1) is None


def test_the_machine_has_a_name_for_everything():
    assert vitals.os_name()
    assert vitals.cpu_count() >= 1
    assert vitals.free_ram_bytes() > 0
