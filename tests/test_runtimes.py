"""Runtimes are proved by running, load what is whole, and say why they refuse the rest."""

import subprocess
import sys

import numpy as np
import pytest

from broker.errors import ArtifactError, InvalidError, RuntimeUnavailableError
from edge_agent.known_runtimes import known
from edge_agent.runtimes import checked, choose, working
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
    def __init__(self, name, formats, version=None):
        self.name, self.formats, self.version = name, formats, version

    def check(self):
        if self.version is None:
            raise RuntimeUnavailableError(f"{self.name} is not installed")
        return self.version

    def load(self, path):
        raise ArtifactError(str(path))


def test_onnxruntime_proves_itself_by_running():
    found, rejected = working([OnnxRuntime()])

    assert not rejected
    assert found[0].info.name == "onnxruntime"
    assert found[0].info.version[0].isdigit()
    assert found[0].info.formats == ("onnx",)


def test_a_runtime_that_is_not_there_is_rejected_with_its_reason():
    found, rejected = working([Pretended("litert", ("tflite",)), Pretended("onnx", ("onnx",), "1.0")])

    assert [w.runtime.name for w in found] == ["onnx"]
    assert rejected[0].reason == "litert is not installed"


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

    assert first == again
    assert first[0].version == "1.0"
    assert other == ()
    assert rejected[0].reason == "litert is not installed"


def test_a_check_that_dies_is_explained():
    assert "SIGILL" in checked.reason("tflite", -4, "")
    assert checked.reason("tflite", 1, "x\nModuleNotFoundError: No module named 'tflite'") == "tflite is not installed"
    assert checked.reason("tflite", 3, "") == "tflite does not run: exit code 3"


def test_a_model_answers_its_golden_samples(saved):
    session = OnnxRuntime().load(saved(tiny_model()))

    ran = session.run(0)

    assert session.difference(0, ran.output) < 1e-5
    index, confidence = session.top(ran.output)
    assert session.facts.labels[index] == session.facts.samples[0].truth
    assert 0 < confidence <= 1
    assert ran.wall_s > 0


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
    code = "import edge_agent.runtimes.onnx, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert not {"numpy", "onnxruntime"} & set(done.stdout.split())
