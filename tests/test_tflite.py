"""TFLite models on LiteRT or tflite-runtime, whichever is installed: the same promises as for ONNX.

`make test` runs this file twice: here, and in an environment with tflite-runtime and NumPy 1.
"""

import importlib.util
import json
import random

import numpy as np
import pytest

from broker.errors import ArtifactError, InvalidError, RuntimeUnavailableError
from edge_agent.runtimes.installed import installed
from edge_agent.runtimes.tflite import TfliteRuntime
from tests.linear_tflite import Op, Tensor, built, dynamic_int8, linear, saved, tiny_texts

INSTALLED = [r for r in installed() if "tflite" in r.formats and importlib.util.find_spec(r.module)]


@pytest.fixture(params=INSTALLED, ids=lambda runtime: runtime.name)
def runtime(request):
    return request.param


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.tflite"


def test_something_that_runs_tflite_is_installed_here():
    assert INSTALLED


def test_a_runtime_proves_itself_by_running(runtime):
    info, rejected = runtime.check()

    assert (info.name, info.formats, info.providers, info.threads) == (runtime.name, ("tflite",), ("cpu",), 1)
    assert info.version[0].isdigit()
    assert (info.opset_max, info.ir_max) == (None, None)
    assert rejected == ()
    assert runtime.proved(info) == runtime


def test_a_package_that_is_not_there_is_a_reason_with_what_to_install():
    absent = TfliteRuntime(name="litert", module="ai_edge_elsewhere", hint="pip install it")

    with pytest.raises(RuntimeUnavailableError) as refused:
        absent.check()
    assert (refused.value.message, refused.value.hint) == ("litert is not installed", "pip install it")


def test_a_model_answers_its_golden_samples(runtime, path):
    data, weights = linear()
    session = runtime.load(saved(path, data, tiny_texts(weights)))

    ran = session.run(0)

    assert session.difference(0, ran.output) < 1e-5
    index, confidence = session.top(ran.output)
    assert session.facts.labels[index] == session.facts.samples[0].truth
    assert 0 < confidence <= 1
    assert ran.wall_s > 0
    assert session.loaded.provider == "cpu"
    assert session.loaded.warmup_ms == ran.wall_s * 1_000


def test_a_wrong_golden_answer_shows(runtime, path):
    data, weights = linear()
    session = runtime.load(saved(path, data, tiny_texts(weights, wrong_golden=True)))

    assert session.difference(0, session.run(0).output) > 0.1


def test_a_model_without_metadata_runs_on_seeded_input(runtime, path):
    session = runtime.load(saved(path, linear()[0]))

    assert session.run(0).output.tolist() == session.run(3).output.tolist()
    assert session.difference(0, session.run(0).output) is None
    assert session.facts.model is None


def test_an_input_by_hand_has_to_fit(runtime, path):
    session = runtime.load(saved(path, linear()[0]))

    assert session.infer([0, 0, 0, 0]).output.tolist() == [[0, 0, 0]]
    with pytest.raises(InvalidError) as refused:
        session.infer([1, 2])
    assert refused.value.hint == "send 4 numbers"


def test_an_int8_model_is_fed_and_answers_real_numbers(runtime, path):
    data, weights = linear(kind="int8")
    session = runtime.load(saved(path, data, tiny_texts(weights)))

    row = np.array([[1.0, -2.0, 3.0, 0.5]], dtype="float32")
    by_hand = session.infer(row.reshape(-1).tolist()).output
    assert np.abs(by_hand - np.clip(row @ weights, -6.55, 6.2)).max() < 0.15
    assert by_hand.dtype == "float32"
    assert session.difference(0, session.run(0).output) < 0.2


def test_what_is_beyond_the_quantised_range_is_its_end(runtime, path):
    session = runtime.load(saved(path, linear(kind="int8")[0]))

    most = session.infer([6.2, 0, 0, 0]).output
    assert session.infer([1e9, 0, 0, 0]).output.tolist() == most.tolist()


def test_a_free_batch_is_one(runtime, path):
    data, weights = linear(signature=(-1, 4))
    session = runtime.load(saved(path, data, tiny_texts(weights)))

    assert session.run(0).output.shape == (1, 3)


def test_further_inputs_are_filled(runtime, path):
    tensors = [Tensor(name=name, shape=(1, 3)) for name in ("a", "b", "sum")]
    session = runtime.load(saved(path, built(tensors, [Op(kind="ADD", inputs=(0, 1), outputs=(2,))], (0, 1), (2,))))

    first, second = session.infer([1, 2, 3]).output, session.infer([2, 3, 4]).output
    assert (second - first).tolist() == [[1, 1, 1]]


def test_samples_of_another_layout_are_refused(runtime, path):
    data, weights = linear()
    texts = tiny_texts(weights)
    turned = [{**sample, "shape": [4, 1]} for sample in json.loads(texts["edgewatt.samples"])]

    with pytest.raises(ArtifactError) as refused:
        runtime.load(saved(path, data, texts | {"edgewatt.samples": json.dumps(turned)}))
    assert refused.value.message == "sample s0 has the shape [4, 1], the model takes [1, 4]"


@pytest.mark.parametrize(
    "data",
    [b"", b"no", b"not a model at all", b"\x18\0\0\0TFL3", linear()[0][:200], b"PK\x03\x04" + linear()[0]],
    ids=["empty", "two bytes", "text", "identifier only", "cut", "shifted"],
)
def test_what_is_no_whole_model_is_refused_with_a_sentence(runtime, path, data):
    with pytest.raises(ArtifactError) as refused:
        runtime.load(saved(path, data))

    assert refused.value.code == "load_failed"
    assert refused.value.message.startswith(f"{runtime.name} cannot load the model: ")
    assert "\n" not in refused.value.message


def test_damaged_models_are_refused_or_run_and_never_end_this_process(runtime, path):
    whole, draw = linear()[0], random.Random(7)
    for _ in range(8):
        data = bytearray(whole)
        for _ in range(6):
            data[draw.randrange(8, len(data))] = draw.randrange(256)
        try:
            runtime.load(saved(path, bytes(data)))
        except ArtifactError as error:
            assert error.code == "load_failed"


def test_weights_of_several_scales_under_float_inputs_are_right_or_refused(runtime, path):
    data, weights = linear(weights=dynamic_int8)
    saved(path, data, tiny_texts(weights))

    if runtime.name == "litert":
        session = runtime.load(path)
        assert session.difference(0, session.run(0).output) < 0.02
    else:
        with pytest.raises(ArtifactError, match="FULLY_CONNECTED wrongly without a word") as refused:
            runtime.load(path)
        assert refused.value.hint.endswith("or install LiteRT")
