"""Tegrastats is read in both its dialects, as a process that lives as long as its meter."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.power import tegrastats
from edge_agent.power.tegrastats import Tegrastats, board_mw, rails_mw

METERS = Path(__file__).resolve().parents[2] / "shared" / "data" / "meters"
recorded = pytest.mark.skipif(not METERS.exists(), reason="the recorded samples are not part of the project")

JETPACK_4 = (
    "RAM 1655/3956MB (lfb 311x4MB) SWAP 0/1978MB (cached 0MB) IRAM 0/252kB(lfb 252kB) CPU [12%@102,off,off,off] "
    "EMC_FREQ 3%@1600 GR3D_FREQ 0%@76 PLL@36.5C thermal@38C POM_5V_IN 2100/2000 POM_5V_GPU 80/79 POM_5V_CPU 275/9"
)
JETPACK_6 = (
    "04-27-2026 14:59:41 RAM 775/7620MB (lfb 3x4MB) SWAP 0/3810MB (cached 0MB) CPU [1%@729,0%@729] GR3D_FREQ 0% "
    "cpu@48.468C tj@49.156C VDD_IN 4761mW/4778mW VDD_CPU_GPU_CV 515mW/501mW NC 7mW/7mW "
)
MISLABELLED = "RAM 2020/3964MB (lfb 19x4MB) POM_5V_GPU 8791/8742 POM_5V_IN 3075/3086 POM_5V_CPU 3109/3134"


def test_jetpack_4_writes_no_unit():
    assert rails_mw(JETPACK_4) == {"POM_5V_IN": 2100, "POM_5V_GPU": 80, "POM_5V_CPU": 275}
    assert board_mw(JETPACK_4) == 2100


def test_jetpack_5_and_6_write_milliwatts_and_a_date():
    assert rails_mw(JETPACK_6) == {"VDD_IN": 4761, "VDD_CPU_GPU_CV": 515}
    assert board_mw(JETPACK_6) == 4761


def test_a_line_whose_part_draws_more_than_the_whole_is_refused():
    assert board_mw(MISLABELLED) is None


@recorded
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tegrastats_jetson_nano_jp4.txt", [2132, 2247, 2132]),
        ("tegrastats_orin_nano_jp6.txt", [4761, 4761, 4824]),
        ("tegrastats_jetson_nano_rail_order.txt", [None, None]),
    ],
)
def test_the_recorded_lines_give_the_boards_power_or_are_refused(name, expected):
    assert [board_mw(line) for line in (METERS / name).read_text().splitlines() if line] == expected


@given(text=st.text(max_size=300))
def test_any_line_is_read_without_a_crash(text):
    assert all(mw >= 0 for mw in rails_mw(text).values())


@given(st.dictionaries(st.from_regex(r"[A-Z][A-Z0-9_]{0,11}", fullmatch=True), st.integers(0, 60_000), max_size=6))
def test_whatever_rails_are_written_are_read(rails):
    written = " ".join(f"{name} {mw}mW/{mw + 1}mW" for name, mw in rails.items())

    assert rails_mw(f"12-31-2026 23:59:59 RAM 1/2MB {written}") == {n: mw for n, mw in rails.items() if n != "NC"}


def program(folder, *lines, then="exec sleep 60"):
    path = folder / "tegrastats"
    path.write_text("#!/bin/sh\n" + "\n".join(f"echo '{line}'" for line in lines) + f"\n{then}\n")
    path.chmod(0o755)
    return str(path)


def test_the_meter_reads_the_newest_line_of_a_running_process(tmp_path, monkeypatch):
    program(tmp_path, JETPACK_4)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    meter = tegrastats.find()

    assert (meter.sensor.source, meter.sensor.rail) == ("ina3221", "POM_5V_IN by tegrastats")
    assert meter.end(0.5) == pytest.approx(1_050)
    meter.read_mw.__self__.close()


@pytest.mark.parametrize("lines", [(), (MISLABELLED,), ("RAM 1/2MB",)])
def test_a_process_that_tells_no_power_is_no_meter(tmp_path, monkeypatch, lines):
    program(tmp_path, *lines, then="exit 0")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    assert tegrastats.find() is None


def test_a_process_that_hangs_gives_no_reading_of_long_ago(tmp_path):
    clock = [100.0]
    running = Tegrastats(program(tmp_path, JETPACK_4), now=lambda: clock[0])
    try:
        assert running.read_mw() == 2100
        clock[0] += tegrastats.STALE_S + 0.1
        assert running.read_mw() is None
    finally:
        running.close()


def test_closing_the_meter_ends_the_process(tmp_path):
    running = Tegrastats(program(tmp_path, JETPACK_4))
    assert running.line.strip() == JETPACK_4

    running.close()

    assert running._process.poll() is not None
