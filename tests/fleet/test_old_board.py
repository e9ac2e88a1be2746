"""An old board: tflite-runtime, NumPy 1, no msgspec, in an environment that `make test` makes."""

import os
import subprocess

import pytest

from broker.phases import Phase
from tests.agent_bench import deploy
from tests.artifact_server import serving
from tests.fleet.agent_process import ROOT, watching
from tests.linear_tflite import dynamic_int8, linear, saved, tiny_texts

PYTHON = ROOT / ".venv-tflite" / "bin" / "python"
BARE = {**os.environ, "PYTHONPATH": str(ROOT)}

pytestmark = pytest.mark.skipif(
    not (ROOT / ".venv-tflite" / ".ready").exists(),
    reason="there is no .venv-tflite: scripts/tflite-environment says why",
)


def ran(*words):
    return subprocess.run([PYTHON, *words], cwd=ROOT, env=BARE, capture_output=True, text=True, check=False)


def started(words, log):
    return subprocess.Popen([PYTHON, *words], cwd=ROOT, env=BARE, stderr=log)


def test_the_environment_is_an_old_board():
    code = "import numpy, importlib.util as u; print(numpy.__version__[0], u.find_spec('msgspec'), u.find_spec('onnx'))"

    assert ran("-c", code).stdout.split() == ["1", "None", "None"]


def test_the_adapter_keeps_the_same_promises_on_tflite_runtime():
    done = ran("-m", "pytest", "-q", "--noconftest", "-p", "no:cacheprovider", "tests/test_tflite.py")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout


def test_it_says_what_it_can_and_what_it_cannot_run(tmp_path):
    said = ran("-m", "edge_agent", "check", "--data", str(tmp_path)).stdout

    assert "runtime       tflite-runtime 2.14.0: tflite, on cpu, 1 thread" in said
    assert "no runtime    onnxruntime is not installed (pip install 'edgewatt[onnx]')" in said
    assert "no runtime    litert is not installed" in said


async def test_it_joins_deploys_and_refuses_what_its_runtime_computes_wrongly(broker, tmp_path):
    data, weights = linear()
    right = saved(tmp_path / "right", data, tiny_texts(weights)).read_bytes()
    data, weights = linear(weights=dynamic_int8)
    wrong = saved(tmp_path / "wrong", data, tiny_texts(weights)).read_bytes()
    words = ["-m", "edge_agent", "run", "--id", "bbb-1", "--broker", broker.url, "--data", str(tmp_path / "data")]
    with (tmp_path / "log").open("ab") as log, serving() as server:
        agent = started([*words, "--interval", "0.3"], log)
        try:
            async with watching(broker.url) as watcher:
                await watcher.until(lambda: watcher.online("bbb-1"), "the birth", 60)
                await watcher.command("bbb-1", deploy(server, right, form="tflite"))
                end = await watcher.ended("bbb-1", "d1", 60)
                assert (end.state, end.result["golden_difference"]) == (Phase.SUCCEEDED, pytest.approx(0, abs=1e-5))
                await watcher.until(lambda: watcher.state("bbb-1").active, "the model in the state")
                assert watcher.state("bbb-1").active.runtime == "tflite-runtime"

                await watcher.command("bbb-1", deploy(server, wrong, "d2", gen=2, form="tflite"))
                end = await watcher.ended("bbb-1", "d2", 60)
                assert (end.state, end.error.code) == (Phase.FAILED, "load_failed")
                assert "FULLY_CONNECTED wrongly" in end.error.msg
        finally:
            agent.kill()
            agent.wait(20)
