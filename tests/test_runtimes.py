"""Runtimes are proved by running, load what is whole, and say why they refuse the rest."""

import subprocess
import sys

import numpy as np
import pytest

from broker.errors import ArtifactError, InvalidError, RuntimeUnavailableError
from broker.messages import RuntimeInfo
from edge_agent.known_runtimes import known
from edge_agent.runtimes import Rejected, checked, choose, working
from edge_agent.runtimes.facts import read_facts
from edge_agent.runtimes.onnx import OnnxRuntime
from tests.tiny_models import slow_model, tiny_model


@pytest.fixture
def saved(tmp_path):
    def save(data):
        path = tmp_path / "model.onnx"
        path.write_bytes(data)
        return path

    return save


class Pretended:
    module = "json"

    def __init__(self, name, formats, version=None):
        self.name, self.formats, self.version = name, formats, version

    def check(self):
        if self.version is None:
            raise RuntimeUnavailableError(f"{self.name} is not installed", hint=f"install {self.name}")
        partly = (Rejected(f"{self.name} on cuda", "the driver is too old"),)
        return RuntimeInfo(name=self.name, version=self.version, formats=self.formats), partly

    def proved(self, info):
        self.ran = info
        return self

    def load(self, path):
        raise ArtifactError(str(path))


def test_onnxruntime_proves_itself_by_running():
    found, rejected = working([OnnxRuntime()])

    assert [one.what for one in rejected] == []
    assert found[0].info.name == "onnxruntime"
    assert found[0].info.version[0].isdigit()
    assert found[0].info.formats == ("onnx",)
    assert found[0].info.opset_max >= 19
    assert found[0].info.ir_max >= 9
    assert (found[0].info.providers, found[0].info.threads) == (("cpu",), 1)


def test_a_provider_that_this_build_lacks_is_a_reason_and_the_processor_is_used():
    found, rejected = working([OnnxRuntime(provider="tensorrt")])

    assert found[0].info.providers == ("cpu",)
    assert found[0].runtime.providers == ("cpu",)
    assert (rejected[0].what, rejected[0].reason) == (
        "onnxruntime on tensorrt",
        "this build of onnxruntime has no tensorrt",
    )


def test_a_provider_that_onnxruntime_silently_replaces_did_not_run():
    with pytest.raises(RuntimeUnavailableError, match="CUDAExecutionProvider"):
        checked.said_by_running("onnxruntime on cuda", "edge_agent.runtimes.onnx_check", "CUDAExecutionProvider")


def test_a_runtime_that_is_not_there_is_rejected_with_its_reason():
    found, rejected = working([Pretended("litert", ("tflite",)), Pretended("onnx", ("onnx",), "1.0")])

    assert [w.runtime.name for w in found] == ["onnx"]
    assert (rejected[0].reason, rejected[0].hint) == ("litert is not installed", "install litert")
    assert rejected[1].what == "onnx on cuda"
    assert found[0].runtime.ran == found[0].info


def test_what_was_rejected_before_is_told_when_nothing_is_left():
    with pytest.raises(RuntimeUnavailableError, match="litert: dies with SIGILL") as refused:
        choose("tflite", [], rejected=[Rejected("litert", "dies with SIGILL")])

    assert refused.value.hint == "pip install 'edgewatt[litert]' on the device"


def test_choosing_names_every_reason():
    runtimes = [Pretended("litert", ("tflite",), "1"), Pretended("ort", ("onnx",), "1")]

    chosen, rejected = choose("onnx", runtimes)
    assert chosen.name == "ort"
    assert rejected[0].reason == "reads tflite, not onnx"
    with pytest.raises(RuntimeUnavailableError, match="litert: reads tflite, not hef; ort: reads onnx, not hef"):
        choose("hef", runtimes)
    with pytest.raises(RuntimeUnavailableError, match="litert was asked for"):
        choose("onnx", runtimes, wanted="litert")


def test_a_proof_is_remembered_until_something_else_is_installed(tmp_path):
    path = tmp_path / "runtimes.json"
    first, _ = known(path, [Pretended("ort", ("onnx",), "1.0")])
    again, _ = known(path, [Pretended("ort", ("onnx",))])
    other, rejected = known(path, [Pretended("litert", ("tflite",))])
    asked, _ = known(path, [Pretended("ort", ("onnx",))], asked="provider=cuda")

    assert [one.info for one in first] == [one.info for one in again]
    assert first[0].info.version == "1.0"
    assert other == ()
    assert rejected[0].reason == "litert is not installed"
    assert asked == ()


def test_a_check_that_dies_is_explained():
    assert "SIGILL" in checked.reason("tflite", -4, "")
    assert checked.reason("tflite", 1, "x\nModuleNotFoundError: No module named 'tflite'") == "tflite is not installed"
    assert checked.reason("tflite", 3, "") == "tflite does not run: exit code 3"
    assert checked.reason("tflite", 1, "ModuleNotFoundError: No module named 'numpy'\n\n") == (
        "tflite needs NumPy, which is not installed"
    )
    assert checked.reason("tflite", 1, "ImportError: libgomp.so.1: cannot open shared object file") == (
        "tflite does not run: ImportError: libgomp.so.1: cannot open shared object file"
    )
    numpy_2 = "A module that was compiled using NumPy 1.x cannot be run in\nNumPy 2.4.6\nSystemError: <built-in method"
    assert checked.reason("tflite", 1, numpy_2) == "tflite is built for NumPy 1, and NumPy 2 is installed"


def test_a_model_answers_its_golden_samples(saved):
    session = OnnxRuntime().load(saved(tiny_model()))

    ran = session.run(0)

    assert session.difference(0, ran.output) < 1e-5
    index, confidence = session.top(ran.output)
    assert session.facts.labels[index] == session.facts.samples[0].truth
    assert 0 < confidence <= 1
    assert ran.wall_s > 0


def test_how_a_model_was_loaded_is_told_and_its_first_run_when_there_was_one(saved):
    session = OnnxRuntime(threads=2).load(saved(tiny_model()))

    before = session.loaded.result
    first = session.run(0)
    session.run(1)
    assert before.keys() == {"provider", "threads", "load_ms", "rss_mb"}
    assert (before["provider"], before["threads"]) == ("cpu", 2)
    assert before["rss_mb"] > 10
    assert session.loaded.warmup_ms == first.wall_s * 1_000
    assert "warmup_ms" in session.loaded.result


def test_probabilities_are_taken_as_they_are(saved):
    session = OnnxRuntime().load(saved(tiny_model()))

    assert session.top(np.array([[0.25, 0.7, 0.05]])) == (1, pytest.approx(0.7))


def test_a_model_without_samples_runs_on_seeded_input(saved):
    session = OnnxRuntime().load(saved(slow_model(size=8)))

    assert session.run(0).output.tolist() == session.run(3).output.tolist()
    assert session.difference(0, session.run(0).output) is None


def test_an_input_by_hand_has_to_fit(saved):
    session = OnnxRuntime().load(saved(tiny_model()))

    assert session.infer([0, 0, 0, 0]).output.tolist() == [[0, 0, 0]]
    with pytest.raises(InvalidError) as refused:
        session.infer([1, 2])
    assert refused.value.hint == "send 4 numbers"


@pytest.mark.parametrize(
    "data",
    [b"", b"not a model", tiny_model()[:-60], tiny_model(bad_samples=True)],
    ids=["empty", "text", "cut", "samples"],
)
def test_what_is_no_whole_model_is_refused_with_a_sentence(saved, data):
    with pytest.raises(ArtifactError) as refused:
        OnnxRuntime().load(saved(data))

    assert refused.value.code == "load_failed"
    assert "\n" not in refused.value.message


def test_labels_of_an_untrained_model_are_left_out(saved):
    assert OnnxRuntime().load(saved(tiny_model(trained=False))).facts.labels == ()


@pytest.mark.parametrize("bad", ["{", "7", '[{"name":"x"}]', '[{"name":"x","shape":[1],"data":"!!"}]', '["x"]'])
def test_bad_metadata_is_refused(bad):
    with pytest.raises(ArtifactError):
        read_facts({"edgewatt.samples": bad})


def test_importing_the_runtimes_loads_no_runtime():
    code = "import edge_agent.runtimes.installed, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert not {"numpy", "onnxruntime", "ai_edge_litert", "tflite_runtime"} & set(done.stdout.split())
