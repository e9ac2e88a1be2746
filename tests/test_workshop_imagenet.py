"""The real EfficientNet-Lite0 answers real photographs; skipped where its weights are not installed."""

import json
from importlib.util import find_spec

import onnx
import pytest

from controller.models.analyze import analyze
from controller.workshop import imagenet

MISSING = [name for name in imagenet.NEEDED if find_spec(name) is None]


@pytest.mark.skipif(bool(MISSING), reason=f"the extra `models` is not installed: {', '.join(MISSING)}")
def test_a_flower_is_a_daisy(tmp_path):
    path = tmp_path / "lite0.onnx"
    path.write_bytes(imagenet.build())
    facts = analyze(path)
    labels = json.loads(facts.metadata["edgewatt.labels"])
    samples = {s["name"]: s["expect"] for s in json.loads(facts.metadata["edgewatt.samples"])}

    assert labels[max(range(1000), key=samples["flower"].__getitem__)] == "daisy"
    assert set(samples) == {"china", "flower"}
    assert (facts.macs, facts.opset, facts.ir_version <= 8) == (385_187_552, 15, True)
    assert onnx.load(path).graph.input[0].type.tensor_type.shape.dim[0].dim_value == 1
