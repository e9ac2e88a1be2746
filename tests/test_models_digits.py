"""The shipped models are what their metadata says, and can be drawn again from their seeds."""

import base64
import json

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from controller.models import digits
from controller.models.analyze import analyze
from controller.models.shipped import MODELS

NAMES = ("digits_mlp", "digits_cnn_s", "digits_cnn_l")


@pytest.fixture(params=NAMES)
def path(request):
    return MODELS / f"{request.param}.onnx"


def test_the_files_are_small_and_portable():
    facts = [analyze(MODELS / f"{name}.onnx") for name in NAMES]

    assert all(f.opset <= 15 and f.ir_version <= 8 and f.size_mb <= 1.9 for f in facts)
    assert sum(f.size_mb for f in facts) <= 4


def test_the_published_accuracy_is_what_the_held_out_digits_give(path):
    model = onnx.load(path)
    published = analyze(path).metadata["edgewatt.top1_pct"]

    assert f"{digits.held_out_top1_pct(model):.2f}" == published
    assert float(published) >= 90


def test_the_cost_in_the_metadata_is_the_cost_of_the_graph(path):
    facts = analyze(path)

    assert float(facts.metadata["edgewatt.gmacs"]) == pytest.approx(facts.macs / 1e9)
    assert float(facts.metadata["edgewatt.params_m"]) == pytest.approx(facts.params / 1e6)


def test_the_samples_are_held_out_digits_and_the_model_answers_as_promised(path):
    samples = json.loads(analyze(path).metadata["edgewatt.samples"])
    held_out = {image.tobytes() for image in digits.Digits.load().held_out}
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    assert 16 <= len(samples) <= 32
    for sample in samples:
        raw = np.frombuffer(base64.b64decode(sample["data"]), sample["dtype"]).reshape(sample["shape"])
        image = raw.astype(np.float32) * np.float32(sample["scale"]) + np.float32(sample["offset"])
        assert image.tobytes() in held_out
        assert session.run(None, {"image": image})[0][0] == pytest.approx(sample["expect"], abs=1e-4)


def test_nothing_held_out_was_trained_on():
    parts = digits.Digits.load()
    trained = {image.tobytes() for image in parts.train}

    assert (len(parts.train), len(parts.held_out)) == (1347, 450)
    assert sum(image.tobytes() in trained for image in parts.held_out) == 0


@pytest.mark.parametrize("recipe", [digits.SMALL, digits.LARGE], ids=lambda r: r.name)
def test_the_convolutions_are_drawn_again_from_the_seed(recipe):
    net = digits.random_features(recipe)
    again = net.model(digits.INPUT, (1, "features"), output="features")
    shipped = {t.name: t for t in onnx.load(MODELS / f"{recipe.name}.onnx").graph.initializer}

    for tensor in again.graph.initializer:
        assert np.array_equal(numpy_helper.to_array(tensor), numpy_helper.to_array(shipped[tensor.name])), tensor.name


def test_the_perceptron_can_be_built_again():
    assert digits.held_out_top1_pct(digits.build_mlp()) >= 90
