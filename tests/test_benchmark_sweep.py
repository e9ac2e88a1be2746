"""A sweep measures real models in processes of their own, survives what they do, and goes on where it was stopped."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from onnx import TensorProto, helper, numpy_helper

from broker.messages import RuntimeInfo
from edge_agent.benchmark import apart, marks
from edge_agent.benchmark.child import Order
from edge_agent.benchmark.features import Known
from edge_agent.benchmark.figures import Plan
from edge_agent.benchmark.subjects import Subject, on_disk
from edge_agent.benchmark.sweep import Bench, Tally, sweep
from edge_agent.benchmark.table import opened, read
from edge_agent.runtimes import Working
from edge_agent.runtimes.onnx import OnnxRuntime
from tests.artifact_server import serving
from tests.tiny_models import reference, slow_model, tiny_model

ROOT = Path(__file__).parent.parent

QUICK = Plan(runs=3, warmup=1, idle_s=0.01)

CRASHES = """
import os, signal, sys
from edge_agent.benchmark import child
order = sys.stdin.buffer.read()
if b"/crash" in order:
    print("last words", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGILL)
if b"/silent" in order:
    sys.exit(0)
child.decode = lambda kind, _payload, decode=child.decode: decode(kind, order)
child.main()
"""
"""The measuring process, where certain models do what a wrong build does."""


def endless():
    """Return the bytes of a model that loops for ever."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["going"], ["goes"]), helper.make_node("Identity", ["before"], ["after"])],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("before", TensorProto.FLOAT, [1]),
        ],
        [
            helper.make_tensor_value_info("goes", TensorProto.BOOL, []),
            helper.make_tensor_value_info("after", TensorProto.FLOAT, [1]),
        ],
    )
    graph = helper.make_graph(
        [helper.make_node("Loop", ["", "for_ever", "x"], ["y"], body=body)],
        "endless",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
        [numpy_helper.from_array(np.array(True), "for_ever")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()


@pytest.fixture
def folder(tmp_path):
    """A folder of models by name."""

    def fill(**contents):
        there = tmp_path / "models"
        there.mkdir(exist_ok=True)
        for name, content in contents.items():
            (there / f"{name}.onnx").write_bytes(content)
        return there

    return fill


@pytest.fixture
def bench():
    """How to measure, and the lines it told."""
    told = []

    def build(command=apart.COMMAND, limit_s=60.0, features=None):
        order = Order(path="", format="", runtime="", plan=QUICK, device_type="generic_x86", meter="none")
        return Bench(
            order=order,
            runtimes=(Working(runtime=OnnxRuntime(), info=RuntimeInfo(name="onnxruntime", version="1.0")),),
            features=features or {},
            limit_s=limit_s,
            tell=told.append,
            measure=lambda order, limit_s: apart.measure(order, limit_s=limit_s, command=command),
        )

    build.told = told
    return build


def swept(path, subjects, bench, **options):
    with opened(path) as table:
        tally = sweep(subjects, table, bench, **options)
    return tally, {row["model"]: row for row in read(path)}


def test_each_model_gets_a_row_with_its_figures(tmp_path, folder, bench):
    models = folder(tiny=tiny_model(), slow=slow_model(size=64))
    known = {"slow": Known(params_m=1.5, gmacs=0.25, input_res=64)}

    tally, rows = swept(tmp_path / "t.csv", on_disk(models), bench(features=known))

    assert (tally.measured, tally.failed, tally.there) == (2, 0, 0)
    slow, tiny = rows["slow"], rows["tiny"]
    assert (slow["params_m"], slow["gmacs"], slow["gflops"], slow["input_res"]) == ("1.5", "0.25", "0.5", "64")
    assert float(tiny["gmacs"]) == pytest.approx(1.2e-8)
    assert int(slow["iterations"]) == 3
    assert float(slow["latency_avg_s"]) > 0
    assert float(slow["rss_peak_mb"]) >= float(slow["rss_mb"]) > 10
    assert slow["energy_mj"] == slow["meter"] == slow["error"] == ""
    assert len(slow["artifact_sha256"]) == 64
    assert "[2/2]" in bench.told[-1]


def test_a_model_that_crashes_hangs_or_is_cut_off_costs_its_own_row_only(tmp_path, folder, bench):
    models = folder(
        a_good=tiny_model(),
        crash=tiny_model("crash"),
        cut=slow_model()[:4_000],
        endless=endless(),
        silent=tiny_model("silent"),
        z_good=tiny_model("z"),
    )
    crashing = (sys.executable, "-c", CRASHES)

    tally, rows = swept(tmp_path / "t.csv", on_disk(models), bench(command=crashing, limit_s=12))

    assert (tally.measured, tally.failed) == (2, 4)
    assert rows["crash"]["error"] == "its process died of SIGILL: last words"
    assert rows["endless"]["error"] == "did not finish within 12 s"
    assert rows["silent"]["error"] == "its process ended with code 0 and no answer"
    assert "cannot load the model" in rows["cut"]["error"]
    assert str(tmp_path) not in rows["cut"]["error"]
    assert all(rows[name]["latency_avg_s"] == "" for name in ("crash", "endless", "silent", "cut"))
    assert rows["a_good"]["error"] == rows["z_good"]["error"] == ""


def test_what_is_there_is_not_measured_again_unless_wanted(tmp_path, folder, bench):
    models, path = folder(a=tiny_model()), tmp_path / "t.csv"
    _, first = swept(path, on_disk(models), bench())
    folder(b=tiny_model("b"))

    tally, rows = swept(path, on_disk(models), bench())
    assert (tally.measured, tally.there) == (1, 1)
    assert rows["a"] == first["a"]

    tally, rows = swept(path, on_disk(models), bench(), again=True)
    assert (tally.measured, tally.there) == (2, 0)
    assert len(read(path)) == 2
    assert rows["a"]["at"] != first["a"]["at"]


def test_a_file_that_changed_is_another_measurement(tmp_path, folder, bench):
    models, path = folder(a=tiny_model()), tmp_path / "t.csv"
    swept(path, on_disk(models), bench())
    folder(a=tiny_model(seed=1))

    tally, _ = swept(path, on_disk(models), bench())

    assert tally.measured == 1
    assert len(read(path)) == 2


def test_a_format_that_nothing_here_runs_says_so_in_its_row(tmp_path, folder, bench):
    (folder() / "m.tflite").write_bytes(b"TFL3")

    _, rows = swept(tmp_path / "t.csv", on_disk(folder()), bench())

    assert "nothing here runs a .tflite model" in rows["m"]["error"]


def test_models_of_a_catalogue_are_fetched_once_measured_and_removed(tmp_path, bench):
    content, path = tiny_model(), tmp_path / "t.csv"
    with serving() as server:
        ref = reference(content, server.base_url)
        server.add(ref.sha256, content)
        subject = Subject(
            model="tiny",
            format="onnx",
            path=tmp_path / "fetched" / "tiny.onnx",
            sha256=ref.sha256,
            url=ref.url,
            size=ref.size,
            params_m=1.5,
        )
        gone = replace(subject, model="gone", sha256="0" * 64, url=f"{server.base_url}/models/sha256/{'0' * 64}")
        tally, rows = swept(path, (subject, gone), bench())
        asked = len(server.requests)
        again, _ = swept(path, (subject,), bench())

        assert len(server.requests) == asked
    assert (tally.measured, tally.failed, again.there) == (1, 1, 1)
    assert rows.keys() == {"tiny"}
    assert rows["tiny"]["params_m"] == "1.5"
    assert list((tmp_path / "fetched").iterdir()) == []


def test_marks_say_when_each_row_rested_and_worked(tmp_path, folder, bench):
    _, rows = swept(tmp_path / "t.csv", on_disk(folder(a=tiny_model())), bench())

    rest, runs = marks.read(tmp_path / "t.marks.csv")
    assert (rest.kind, runs.kind) == ("rest", "runs")
    assert rest.at == runs.at == rows["a"]["at"]
    assert rest.start < rest.stop <= runs.start < runs.stop


def test_the_rest_is_estimated_from_what_was_measured():
    tally = Tally(total=10, measured=2, there=3, began=100.0)

    assert tally.left(110.0) == ", about 25 s left"
    assert tally.left(220.0) == ", about 5 min left"
    assert Tally(total=3).left(1.0) == ""


def started(models, path, *flags):
    argv = [sys.executable, "-m", "edge_agent", "bench", str(models), "--csv", str(path), "--meter", "none"]
    return subprocess.Popen(
        [*argv, "--idle-s", "0.01", *flags],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_sweep_killed_in_the_middle_goes_on_and_loses_or_doubles_no_row(tmp_path, folder):
    models, path = folder(**{f"m{n}": tiny_model(f"m{n}", seed=n) for n in range(5)}), tmp_path / "t.csv"
    (models / "m2.onnx").write_bytes(endless())
    first = started(models, path, "--runs", "3", "--limit-s", "60")
    with first:
        assert "m0" in first.stderr.readline()
        assert "m1" in first.stderr.readline()
        measuring = psutil.Process(first.pid).children()
        first.kill()
    psutil.wait_procs(measuring, timeout=10)
    before = read(path)
    path.write_bytes(path.read_bytes() + b"half,a,li")
    (models / "m2.onnx").write_bytes(tiny_model("m2", seed=2))

    with started(models, path, "--runs", "3") as second:
        told = second.communicate(timeout=120)[1]

    assert second.returncode == 0, told
    assert not any(process.is_running() for process in measuring)
    rows = read(path)
    assert rows[:2] == before
    assert sorted(row["model"] for row in rows) == ["m0", "m1", "m2", "m3", "m4"]
    assert "3 measured, 0 failed, 2 were there" in told


def test_ctrl_c_leaves_a_whole_table_and_nothing_running(tmp_path, folder):
    models, path = folder(a=tiny_model(), b=endless()), tmp_path / "t.csv"
    with started(models, path, "--runs", "3", "--limit-s", "60") as sweeping:
        assert "[1/2] a" in sweeping.stderr.readline()
        measuring = psutil.Process(sweeping.pid).children()
        sweeping.send_signal(signal.SIGINT)
        told = sweeping.communicate(timeout=30)[1]

    assert sweeping.returncode == 130
    assert "the same command goes on" in told
    assert "Traceback" not in told
    assert [row["model"] for row in read(path)] == ["a"]
    assert psutil.wait_procs(measuring, timeout=10)[1] == []
