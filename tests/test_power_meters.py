"""Meters read fake sysfs trees and recorded outputs, and refuse what cannot be true."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import InvalidError
from edge_agent.power import hwmon, ina3221, nvml, pick, pmic, rapl, refused
from edge_agent.power.meter import CounterMeter, PowerMeter
from edge_agent.power.rails import board_rail
from edge_agent.power.trace import counted

METERS = Path(__file__).resolve().parents[2] / "shared" / "data" / "meters"
recorded = pytest.mark.skipif(not METERS.exists(), reason="the recorded samples are not part of the project")

PMIC = """\
  VDD_CORE_A current(7)=5.00000000A
   3V3_SYS_A current(1)=0.10000000A
  VDD_CORE_V volt(15)=0.90000000V
   3V3_SYS_V volt(9)=3.30000000V
     EXT5V_V volt(24)=4.92450000V
"""


def tree(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return folder


def jetpack4(folder, *, whole=4_000, gpu=1_000):
    base = "bus/i2c/drivers/ina3221x/6-0040/iio:device0"
    names = ("POM_5V_IN", "POM_5V_GPU", "POM_5V_CPU")
    rails = {f"{base}/rail_name_{n}": name for n, name in enumerate(names)}
    watts = {f"{base}/in_power{n}_input": mw for n, mw in enumerate((whole, gpu, 500))}
    return tree(folder, rails | watts)


def jetpack6(folder):
    base = "bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3"
    labels = {
        "in1_label": "VDD_IN",
        "in2_label": "VDD_CPU_GPU_CV",
        "in3_label": "NC",
        "in7_label": "sum of shunt voltages",
    }
    values = {
        "in1_input": 5_000,
        "curr1_input": 900,
        "in2_input": 5_000,
        "curr2_input": 100,
        "in3_input": 1,
        "curr3_input": 1,
    }
    return tree(folder, {f"{base}/{name}": text for name, text in (labels | values).items()})


def test_a_jetpack_4_tree_gives_the_whole_board(tmp_path):
    meter = ina3221.find(jetpack4(tmp_path))

    assert meter.sensor.source == "ina3221"
    assert meter.sensor.rail == "POM_5V_IN"
    assert meter.end(0.5) == pytest.approx(2_000)


def test_a_jetpack_6_tree_gives_volts_times_amperes(tmp_path):
    meter = ina3221.find(jetpack6(tmp_path))

    assert meter.sensor.rail == "VDD_IN"
    assert meter.end(1.0) == pytest.approx(4_500)


def test_rails_whose_part_draws_more_than_the_whole_are_refused(tmp_path):
    assert ina3221.find(jetpack4(tmp_path, whole=3_075, gpu=8_791)) is None
    assert board_rail({"POM_5V_IN": 3_075, "POM_5V_GPU": 8_791, "POM_5V_CPU": 3_109}) is None
    assert board_rail({"POM_5V_GPU": 100}) is None


@pytest.mark.parametrize("chip", ["ina219", "ina226"])
def test_a_shunt_sensor_gives_microwatts(tmp_path, chip):
    meter = hwmon.find(tree(tmp_path, {"class/hwmon/hwmon1/name": chip, "class/hwmon/hwmon1/power1_input": 2_500_000}))

    assert meter.sensor.source == "hwmon"
    assert meter.end(2.0) == pytest.approx(5_000)


def test_a_shunt_sensor_without_a_power_channel_is_multiplied(tmp_path):
    files = {"name": "ina226", "in1_input": 5_000, "curr1_input": 300}
    folder = tree(tmp_path, {f"class/hwmon/hwmon0/{name}": text for name, text in files.items()})

    assert hwmon.find(folder).end(1.0) == pytest.approx(1_500)


def test_other_chips_are_no_power_sensors(tmp_path):
    assert hwmon.find(tree(tmp_path, {"class/hwmon/hwmon0/name": "k10temp"})) is None


def test_rapl_counts_from_the_widest_zone(tmp_path):
    zone = "class/powercap/intel-rapl:0"
    files = {"name": "package-0", "energy_uj": 1_000_000, "max_energy_range_uj": 262_143_328_850}
    meter = rapl.find(tree(tmp_path, {f"{zone}/{name}": text for name, text in files.items()}))

    meter.begin()
    tree(tmp_path, {f"{zone}/energy_uj": 1_750_000})

    assert meter.sensor.source == "rapl"
    assert meter.end(0.1) == pytest.approx(750)


def test_rapl_that_only_root_may_read_is_no_meter(tmp_path):
    zone = "class/powercap/intel-rapl:0"
    assert rapl.find(tree(tmp_path, {f"{zone}/name": "package-0", f"{zone}/max_energy_range_uj": 100})) is None


@given(start=st.integers(0, 999), steps=st.lists(st.integers(0, 999), max_size=20))
def test_a_counter_that_wraps_loses_nothing(start, steps):
    total, now = 0, start
    for step in steps:
        after = (now + step) % 1_000
        total += counted(now, after, 1_000)
        now = after

    assert total == sum(steps)


def test_a_counter_that_stops_answering_gives_nothing():
    readings = iter([5, None])
    meter = CounterMeter(sensor=None, read_uj=lambda: next(readings), range_uj=10)

    meter.begin()

    assert meter.end(0.1) is None


def test_the_pmic_sums_paired_rails_only():
    assert pmic.power_mw(PMIC) == pytest.approx(4_830)


def test_a_pmic_that_knows_no_such_command_gives_nothing():
    assert pmic.power_mw('error=1 error_msg="Command not registered"') is None
    assert pmic.power_mw("") is None


@recorded
def test_the_recorded_pmic_dump_is_the_sum_of_its_twelve_pairs():
    assert pmic.power_mw((METERS / "vcgencmd_pmic_read_adc_pi5_load.txt").read_text()) == pytest.approx(
        5_921.6, abs=0.1
    )
    assert pmic.power_mw((METERS / "vcgencmd_pmic_read_adc_unsupported.txt").read_text()) is None


@given(text=st.text(max_size=300))
def test_any_text_is_read_without_a_crash(text):
    assert pmic.power_mw(text) is None or pmic.power_mw(text) >= 0


def test_a_sensor_is_asked_no_more_often_than_its_rate(tmp_path):
    meter = ina3221.find(jetpack4(tmp_path))
    times = iter([0.0, 0.0, 0.05, 0.2, 0.2])
    readings = iter([1_000, 3_000])
    limited = PowerMeter(sensor=meter.sensor, read_mw=lambda: next(readings), now=lambda: next(times))

    assert [limited.end(1.0), limited.end(1.0), limited.end(1.0)] == [1_000, 1_000, 3_000]


def test_the_best_source_is_picked_and_said(tmp_path):
    assert pick("raspberry_pi_4", sys=jetpack4(tmp_path / "jetson")).sensor.source == "ina3221"
    assert pick("raspberry_pi_4", sys=tmp_path).sensor.source == "model"
    assert pick("toaster", sys=tmp_path).sensor is None
    assert pick("toaster", sys=tmp_path).end(1.0) is None


def test_rapl_that_only_root_may_read_says_so(tmp_path):
    zone = "class/powercap/intel-rapl:0"
    folder = tree(tmp_path, {f"{zone}/name": "package-0"})

    assert "RAPL is there but only root may read it" in "; ".join(refused(folder))
    assert refused(tree(folder, {f"{zone}/max_energy_range_uj": 100, f"{zone}/energy_uj": 1})) == ()


def test_wrongly_labelled_rails_are_named_with_their_figures(tmp_path):
    (said,) = refused(jetpack4(tmp_path, whole=3_075, gpu=8_791))

    assert "cannot be trusted" in said
    assert "POM_5V_IN 3075 mW, POM_5V_GPU 8791 mW" in said


def test_a_wanted_meter_is_taken_or_refused_with_the_reason(tmp_path):
    jetson = jetpack4(tmp_path / "jetson")
    closed = tree(tmp_path / "pc", {"class/powercap/intel-rapl:0/name": "package-0"})

    assert pick("toaster", sys=jetson, wanted="ina3221").sensor.source == "ina3221"
    assert pick("raspberry_pi_4", sys=jetson, wanted="none").sensor is None
    assert pick("raspberry_pi_4", sys=jetson, wanted="model").sensor.source == "model"
    with pytest.raises(InvalidError, match="no rapl meter here: RAPL is there but only root"):
        pick("toaster", sys=closed, wanted="rapl")
    with pytest.raises(InvalidError, match="'crystal ball'"):
        pick("toaster", sys=jetson, wanted="crystal ball")


class RecordedNvml:
    """The part of NVML's interface that we use, played from figures; a `None` in them is an error of the driver."""

    class NVMLError(Exception):
        pass

    def __init__(self, *millijoules, cards=1):
        self.readings, self.cards = list(millijoules), cards

    def nvmlInit(self):  # noqa: N802 - the library's name
        if not self.readings:
            raise self.NVMLError("Driver Not Loaded")

    def nvmlDeviceGetCount(self):  # noqa: N802
        return self.cards

    def nvmlDeviceGetHandleByIndex(self, index):  # noqa: N802
        return f"card {index}"

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):  # noqa: N802
        assert handle == f"card {self.cards - 1}"
        reading = self.readings.pop(0)
        if reading is None:
            raise self.NVMLError("Not Supported")
        return reading


def test_a_cards_energy_counter_is_read_in_millijoules():
    meter = nvml.find(1, library=RecordedNvml(0, 5_000, 12_500, cards=2))
    meter.begin()

    assert meter.sensor.source == "nvml"
    assert meter.sensor.rail == "gpu 1"
    assert meter.end(0.1) == pytest.approx(7_500)


@pytest.mark.parametrize("library", [RecordedNvml(), RecordedNvml(None), RecordedNvml(1, cards=0)])
def test_a_card_without_a_counter_is_no_meter_and_says_why(library):
    assert nvml.find(library=library) is None
    assert nvml.why_not(library=library)


def test_a_counter_that_began_anew_gives_nothing():
    meter = nvml.find(library=RecordedNvml(0, 5_000, 3))
    meter.begin()

    assert meter.end(0.1) is None
