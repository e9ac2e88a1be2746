"""An external meter's record is laid beside the marks of a benchmark, or refused where it does not fit."""

import math
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from broker.benchmark_row import BenchmarkRow
from broker.errors import EdgeWattError
from edge_agent.benchmark import marks, record
from edge_agent.benchmark.align import align
from edge_agent.benchmark.join import join
from edge_agent.benchmark.marks import Mark
from edge_agent.benchmark.record import Record
from edge_agent.benchmark.table import opened, read
from edge_agent.program import main
from tests.tiny_models import tiny_model

METERS = Path(__file__).resolve().parents[2] / "shared" / "data" / "meters"
recorded = pytest.mark.skipif(not METERS.exists(), reason="the recorded samples are not part of the project")

BEGAN = 1_790_000_000.0
IDLE_MW, BUSY_MW = 2_500.0, 4_500.0
MODELS = 4


def benchmark_marks(*, models=MODELS, began=BEGAN, rest_s=5.0, runs_s=20.0, seed=1):
    """Return the marks of a benchmark whose pauses between models vary, as starting a process does."""
    draw = random.Random(seed)
    made, now = [], began
    for number in range(models):
        now += 1.5 + draw.random() * 4
        same = {"at": f"t{number}", "artifact_sha256": f"h{number}", "model": f"m{number}"}
        made.append(Mark(**same, kind="rest", start=now, stop=now + rest_s))
        made.append(Mark(**same, kind="runs", start=now + rest_s + 0.1, stop=now + rest_s + 0.1 + runs_s))
        now += rest_s + 0.1 + runs_s
    return made


def power_record(made, *, offset_s=0.0, rate_hz=1.0, noise_mw=20.0, around_s=30.0, absolute=True, busy_mw=BUSY_MW):
    """Return what a meter saw whose clock is `offset_s` ahead of the device's."""
    draw = random.Random(7)
    first, last = made[0].start - around_s, made[-1].stop + around_s
    count = int((last - first) * rate_hz)
    moments, powers = [], []
    for i in range(count):
        at = first + i / rate_hz
        busy = any(m.kind == "runs" and m.start <= at <= m.stop for m in made)
        moments.append(at + offset_s - (0 if absolute else first + offset_s))
        powers.append((busy_mw if busy else IDLE_MW) + draw.gauss(0, noise_mw))
    return Record(moments=tuple(moments), powers_mw=tuple(powers), absolute=absolute)


@pytest.mark.parametrize("offset_s", [0.0, 3.4, -17.25, 29.0])
def test_the_offset_of_the_clocks_is_found_within_its_uncertainty(offset_s):
    made = benchmark_marks()

    found = align(power_record(made, offset_s=offset_s), made, most_s=120)

    assert found.offset_s == pytest.approx(offset_s, abs=max(found.uncertainty_s, 0.3))
    assert found.uncertainty_s < 1.0
    assert found.correlation > 0.9
    assert found.runs == MODELS


def test_a_faster_meter_gives_a_surer_offset():
    made = benchmark_marks()

    slow, fast = (align(power_record(made, offset_s=2.0, rate_hz=hz), made, most_s=60) for hz in (1.0, 10.0))

    assert fast.uncertainty_s < slow.uncertainty_s / 3
    assert fast.offset_s == pytest.approx(2.0, abs=0.1)


def test_a_record_that_counts_from_its_own_beginning_is_aligned_too():
    made = benchmark_marks()

    found = align(power_record(made, absolute=False, around_s=30.0), made, most_s=1)

    assert found.offset_s == pytest.approx(30.0 - made[0].start, abs=0.5)


@hypothesis_settings(max_examples=15, deadline=None)
@given(offset_s=st.floats(-25, 25), seed=st.integers(0, 50), noise_mw=st.floats(0, 300))
def test_the_offset_is_right_or_refused(offset_s, seed, noise_mw):
    made = benchmark_marks(seed=seed)
    try:
        found = align(power_record(made, offset_s=offset_s, noise_mw=noise_mw), made, most_s=120)
    except EdgeWattError as refused:
        assert refused.code in ("no_load_steps", "ambiguous")
        return
    assert abs(found.offset_s - offset_s) < 1.0


def test_a_record_without_the_load_is_refused():
    made = benchmark_marks()

    with pytest.raises(EdgeWattError, match="the load does not show"):
        align(power_record(made, busy_mw=IDLE_MW), made, most_s=120)


def test_clocks_further_apart_than_allowed_are_not_guessed_at():
    made = benchmark_marks()

    with pytest.raises(EdgeWattError, match="does not cover"):
        align(power_record(made, offset_s=3_600.0), made, most_s=120)
    assert align(power_record(made, offset_s=3_600.0), made, most_s=4_000).offset_s == pytest.approx(3_600, abs=0.5)


def test_a_record_that_ends_too_early_is_refused():
    made = benchmark_marks()

    with pytest.raises(EdgeWattError, match="does not cover the benchmark"):
        align(power_record(made[:4], around_s=0.0), made, most_s=120)


def test_a_load_that_repeats_in_a_steady_rhythm_fits_twice_and_is_refused():
    period_s = 25.0
    same = {"at": "t", "artifact_sha256": "h", "model": "m"}
    made = [
        Mark(**same | {"at": f"t{n}"}, kind=kind, start=BEGAN + n * period_s + start, stop=BEGAN + n * period_s + stop)
        for n in range(30)
        for kind, start, stop in (("rest", 0.0, 5.0), ("runs", 5.0, 25.0))
    ]

    with pytest.raises(EdgeWattError, match="two offsets equally well"):
        align(power_record(made, around_s=60.0), made, most_s=120)


def table(folder, made, **changes):
    path = folder / "t.csv"
    with opened(path) as rows_here:
        for mark in made:
            if mark.kind == "runs":
                plain = {"latency_avg_s": 0.1, "iterations": 200, "at": mark.at, "device": "raspberry_pi_4"}
                each = {"model": mark.model, "artifact_sha256": mark.artifact_sha256}
                rows_here.put(BenchmarkRow(**{**plain, **each, **changes.get(mark.model, {})}))
    marks.append(marks.path_for(path), tuple(made))
    return path


def written(folder, kept, *, header="time,power_w", scale=1_000.0):
    path = folder / "meter.csv"
    lines = [f"{at:.3f},{mw / scale:.4f}" for at, mw in zip(kept.moments, kept.powers_mw, strict=True)]
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def test_joining_fills_gross_and_net_energy_with_their_uncertainty(tmp_path):
    made = benchmark_marks()
    path = table(tmp_path, made)

    joined = join(path, written(tmp_path, power_record(made, offset_s=4.0)), most_s=120)

    assert joined.filled == ("m0", "m1", "m2", "m3")
    for row in read(path):
        assert float(row["energy_mj"]) == pytest.approx(BUSY_MW * 20 / 200, rel=0.02)
        assert float(row["energy_net_mj"]) == pytest.approx((BUSY_MW - IDLE_MW) * 20 / 200, rel=0.03)
        assert float(row["power_idle_mw"]) == pytest.approx(IDLE_MW, rel=0.02)
        assert (row["meter"], row["rail"], row["rate_hz"]) == ("usb_meter", "external", "1.0")
        error = abs(float(row["energy_mj"]) - BUSY_MW * 20 / 200) / (BUSY_MW * 20 / 200) * 100
        assert error < float(row["uncertainty_percent"]) < 10


def test_joining_again_changes_nothing_and_other_meters_rows_stay(tmp_path):
    made = benchmark_marks()
    path = table(tmp_path, made, m1={"meter": "pmic", "energy_mj": 7.0}, m2={"error": "died", "iterations": None})
    meter = written(tmp_path, power_record(made))

    joined = join(path, meter, most_s=120)
    after = path.read_bytes()
    join(path, meter, most_s=120)

    assert joined.filled == ("m0", "m3")
    assert joined.left == {"m1": "measured by pmic"}
    assert path.read_bytes() == after
    assert read(path)[1]["energy_mj"] == "7.0"


def test_a_record_that_does_not_fit_leaves_the_table_as_it_was(tmp_path, capsys):
    made = benchmark_marks()
    path = table(tmp_path, made)
    before = path.read_bytes()
    with pytest.raises(SystemExit) as ended:
        main(["bench-join", str(path), str(written(tmp_path, power_record(made, busy_mw=IDLE_MW)))])

    assert ended.value.code == 1
    assert "the load does not show" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_the_command_says_how_the_clocks_stood(tmp_path, capsys):
    made = benchmark_marks()
    path = table(tmp_path, made)
    meter = written(tmp_path, power_record(made, offset_s=2.0), header="When,Leistung")
    flags = ["--meter-time-column", "When", "--meter-power-column", "Leistung"]
    with pytest.raises(SystemExit) as ended:
        main(["bench-join", str(path), str(meter), *flags])

    assert ended.value.code == 0
    said = capsys.readouterr().err
    assert "from the device's, within" in said
    assert "4 energies filled in" in said


def test_a_table_without_marks_says_so(tmp_path):
    made = benchmark_marks()
    path = table(tmp_path, made)
    marks.path_for(path).unlink()

    with pytest.raises(EdgeWattError, match="cannot read the marks"):
        join(path, written(tmp_path, power_record(made)), most_s=120)


def lines(form, count=20):
    return [form.format(i=i, s=f"{i:02d}", epoch=BEGAN + i, ms=int((BEGAN + i) * 1_000)) for i in range(count)]


FORMS = [
    pytest.param("time,power_w", "{epoch},2.5", BEGAN, id="Unix seconds, watts"),
    pytest.param("timestamp_ms,Power [mW]", "{ms},2500", BEGAN, id="Unix milliseconds, milliwatts"),
    pytest.param("t;P (W)", "{i};2,5", 0.0, id="semicolons and decimal commas"),
    pytest.param("elapsed ms\tvoltage V\tpower mW", "{i}000\t5.0\t2500", 0.0, id="relative milliseconds, tabs"),
    pytest.param("Date,Energy (Wh),Watts", "2026-09-21T14:00:{s}Z,1.0,2.5", 1_789_999_200.0, id="ISO dates beside Wh"),
    pytest.param("time,power", "23:59:{s},2.5", 86_340.0, id="times of day"),
    pytest.param("Time,0,Watts,2.5", "Time,{epoch},Watts,2.5", 0.0, id="names and values in each line"),
]


@pytest.mark.parametrize(("header", "form", "first"), FORMS)
def test_the_forms_that_loggers_write_are_read(tmp_path, header, form, first):
    path = tmp_path / "m.csv"
    path.write_text("# a logger's remark\n" + "\n".join([header, *lines(form)]) + "\n")

    found = record.read(path)

    assert found.moments[0] == pytest.approx(first)
    assert found.powers_mw[:3] == (2_500.0,) * 3
    assert found.moments[-1] - found.moments[-2] == pytest.approx(1.0)


def test_midnight_is_passed(tmp_path):
    path = tmp_path / "m.csv"
    clock = [f"23:59:{s}" for s in range(50, 60)] + [f"00:00:0{s}" for s in range(10)]
    path.write_text("time,watts\n" + "\n".join(f"{t},1" for t in clock))

    assert record.read(path).moments[-1] - record.read(path).moments[0] == pytest.approx(19)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "none of its columns is a time"),
        ("time,colour\n1,red\n", "none of its columns is a power"),
        ("time,energy_wh\n1,2\n", "none of its columns is a power"),
        ("time,watts\n" + "1,2\n" * 30, "1 different times"),
        ("time,watts\n" + "".join(f"{i},x\n" for i in range(30)), "0 of its 30 lines"),
        ("time,watts\n" + "".join(f"{100 - i},1\n" for i in range(30)), "run backwards"),
    ],
)
def test_what_is_no_record_is_refused_with_the_reason(tmp_path, content, why):
    path = tmp_path / "m.csv"
    path.write_text(content)

    with pytest.raises(EdgeWattError, match=why):
        record.read(path)


@given(content=st.text(max_size=400))
def test_any_text_is_read_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_text(content, encoding="utf-8", errors="replace")
    try:
        found = record.read(path)
    except EdgeWattError:
        return
    assert all(map(math.isfinite, found.powers_mw))


@recorded
def test_the_recorded_lab_meter_is_read():
    path = METERS / "spec_ptdaemon_spl_rpi4.txt"
    found = record.read(path)

    assert len(found.moments) == len(path.read_text().splitlines())
    assert found.powers_mw[0] == pytest.approx(2_793)
    assert found.interval_s == pytest.approx(1.0, abs=0.002)
    assert datetime.fromtimestamp(found.moments[0], UTC).year == 2022


def test_a_real_benchmark_beside_an_external_meter_gets_its_energies(tmp_path, capsys):
    (tmp_path / "models").mkdir()
    for name in "abc":
        (tmp_path / "models" / f"{name}.onnx").write_bytes(tiny_model(name, seed=ord(name)))
    path, meter = tmp_path / "t.csv", tmp_path / "meter.csv"
    argv = ["bench", str(tmp_path / "models"), "--csv", str(path), "--external-meter", str(meter)]
    with pytest.raises(SystemExit) as early:
        main([*argv, "--runs", "3", "--min-s", "0.6", "--idle-s", "0.4"])
    assert early.value.code == 1
    assert "to do that again: edgewatt-agent bench-join" in capsys.readouterr().err

    made = marks.read(marks.path_for(path))
    written(tmp_path, power_record(made, rate_hz=50.0, offset_s=1.5))
    with pytest.raises(SystemExit) as ended:
        main(["bench-join", str(path), str(meter)])

    assert ended.value.code == 0
    for row in read(path):
        assert row["meter"] == "usb_meter"
        assert float(row["power_avg_mw"]) == pytest.approx(BUSY_MW, rel=0.03)
        assert float(row["power_idle_mw"]) == pytest.approx(IDLE_MW, rel=0.05)
