"""EfficientNet-Lite0 with its trained weights goes the whole way, to both formats and in every variant."""

import json
import os
from pathlib import Path

import numpy as np
import onnx
import pytest

from broker.metadata import read_appended
from controller.models.analyze import analyze
from controller.models.shipped import MODELS
from controller.workshop import photographs
from edge_agent.bench import GOLDEN_TOLERANCE
from edge_agent.runtimes.onnx import OnnxRuntime
from edge_agent.runtimes.tflite import TfliteRuntime
from tests.workshop import WITH_TORCH, run, work_all

pytestmark = WITH_TORCH

LITERT = TfliteRuntime(name="litert", module="ai_edge_litert")
LITE0 = {"kind": "package", "name": "efficientnet_lite0"}
LITE0_PIXELS = (224, 224)
DIGITS = {"kind": "onnx", "path": str(MODELS / "digits_mlp.onnx")}
CNN = {"kind": "onnx", "path": str(MODELS / "digits_cnn_s.onnx")}
WANTED = {
    "onnx": ("efficientnet_lite0", LITE0, "onnx", "fp32"),
    "onnx-fp16": ("efficientnet_lite0", LITE0, "onnx", "fp16"),
    "onnx-int8": ("efficientnet_lite0", LITE0, "onnx", "int8"),
    "tflite": ("efficientnet_lite0", LITE0, "tflite", "fp32"),
    "digits-int8": ("digits_mlp", DIGITS, "onnx", "int8"),
    "digits-tflite": ("digits_cnn_s", CNN, "tflite", "fp32"),
    "digits-tflite-fp16": ("digits_mlp", DIGITS, "tflite", "fp16"),
    "digits-tflite-int8": ("digits_mlp", DIGITS, "tflite", "int8"),
}

ROOT = Path(__file__).parent.parent
OLD_BOARD = ROOT / ".venv-tflite"
ON_AN_OLD_BOARD = """
import sys
from pathlib import Path
from edge_agent.runtimes.tflite import TfliteRuntime
for path in map(Path, sys.argv[1:]):
    loaded = TfliteRuntime(name="tflite-runtime", module="tflite_runtime").load(path)
    print(max(loaded.difference(i, loaded.run(i).output) for i in range(len(loaded.facts.samples))))
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Every file of WANTED by its key: path, and what the workshop says of it."""
    folder = tmp_path_factory.mktemp("workshop")
    requests = [
        {"model": model, "source": source, "format": form, "variant": variant}
        for model, source, form, variant in WANTED.values()
    ]
    return {key: said["result"] for key, said in zip(WANTED, work_all(folder, requests), strict=True)}


def session(path):
    return (LITERT if path.endswith(".tflite") else OnnxRuntime()).load(Path(path))


@pytest.mark.parametrize("key", [key for key in WANTED if not key.startswith("digits")])
def test_a_flower_is_a_daisy_and_the_summer_palace_a_palace_in_every_file(made, key):
    loaded = session(made[key]["path"])
    carried = loaded.facts.samples
    strongest = {
        name: loaded.top(loaded.infer((pixels * carried[0].scale + carried[0].offset).ravel()).output)[0]
        for name, pixels in photographs.whole(*LITE0_PIXELS).items()
    }

    assert len(carried) == 2
    assert {name: loaded.facts.labels[at] for name, at in strongest.items()} == {"flower": "daisy", "china": "palace"}


@pytest.mark.parametrize("key", WANTED)
def test_each_file_proves_itself_to_a_device(made, key):
    loaded = session(made[key]["path"])
    differences = [loaded.difference(i, loaded.run(i).output) for i in range(len(loaded.facts.samples))]

    assert differences
    assert max(differences) < GOLDEN_TOLERANCE


@pytest.mark.parametrize("key", WANTED)
def test_each_file_agrees_with_what_it_was_made_from(made, key):
    golden = made[key]["about"]["golden"]
    at_most, at_least = {"fp32": (1e-4, 1), "fp16": (0.02, 1), "int8": (1, 0.75)}[made[key]["about"]["variant"]]

    assert golden["inputs"] >= (20 if "int8" in key else 2)
    assert golden["max_abs"] <= at_most
    assert golden["top1_agreement"] >= at_least
    assert golden["against"] in {"PyTorch in fp32", "the ONNX file it was made from"}


def test_old_runtimes_find_nothing_in_an_onnx_file_that_they_do_not_know(made):
    for key in ("onnx", "onnx-fp16", "onnx-int8", "digits-int8"):
        model = onnx.load(made[key]["path"])

        assert model.ir_version <= 8
        assert [(found.domain, found.version) for found in model.opset_import] == [("", 15)]
        assert {given.type.tensor_type.elem_type for given in model.graph.input} == {onnx.TensorProto.FLOAT}


def test_a_file_says_what_it_is_called_and_only_fp32_repeats_the_published_accuracy(made):
    said = {key: analyze_metadata(made[key]["path"]) for key in WANTED}

    assert said["onnx"]["edgewatt.model"] == said["tflite"]["edgewatt.model"] == "efficientnet_lite0"
    assert said["onnx-int8"]["edgewatt.model"] == "efficientnet_lite0-int8"
    assert {key for key in WANTED if "edgewatt.top1_pct" in said[key]} == {"onnx", "tflite", "digits-tflite"}
    assert said["onnx-int8"]["edgewatt.calibration"] == "64 crops of scikit-learn's two photographs"
    assert said["digits-int8"]["edgewatt.calibration"] == "the 24 samples in the model's file"
    assert {said[key]["edgewatt.gmacs"] for key in ("onnx", "onnx-fp16", "onnx-int8", "tflite")} == {"0.385187552"}
    assert json.loads(said["digits-tflite-int8"]["edgewatt.labels"]) == [str(digit) for digit in range(10)]


def analyze_metadata(path):
    if path.endswith(".tflite"):
        return read_appended(Path(path))
    return {entry.key: entry.value for entry in onnx.load(path).metadata_props}


def test_variants_are_smaller_and_count_the_same(made):
    sizes = {key: Path(made[key]["path"]).stat().st_size for key in WANTED}
    facts = {key: analyze(Path(made[key]["path"])) for key in ("onnx", "onnx-int8", "tflite")}

    assert sizes["onnx-fp16"] < 0.6 * sizes["onnx"]
    assert sizes["onnx-int8"] < 0.4 * sizes["onnx"]
    assert {found.macs for found in facts.values()} == {385_187_552}
    assert [found.quantized for found in facts.values()] == [False, True, False]


def test_tflite_keeps_the_names_of_input_and_output(made):
    from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415  # part of the extra

    interpreter = Interpreter(model_path=made["digits-tflite-int8"]["path"])

    assert "image" in interpreter.get_input_details()[0]["name"]
    assert "output" in interpreter.get_output_details()[0]["name"]
    assert interpreter.get_input_details()[0]["dtype"] == np.float32


@pytest.mark.skipif(
    not (OLD_BOARD / ".ready").exists(), reason="there is no .venv-tflite: scripts/tflite-environment says why"
)
def test_each_tflite_file_proves_itself_to_a_board_with_tflite_runtime(made):
    paths = [said["path"] for said in made.values() if said["path"].endswith(".tflite")]
    python = str(OLD_BOARD / "bin" / "python")
    done = run([python, "-c", ON_AN_OLD_BOARD, *paths], {**os.environ, "PYTHONPATH": str(ROOT)})

    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == len(paths) == 4
    assert max(map(float, done.stdout.split())) < GOLDEN_TOLERANCE
