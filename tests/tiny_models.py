"""Builds small ONNX models for tests, with the metadata that ours carry."""

import base64
import hashlib
import json

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from broker.commands import ArtifactRef

FEATURES, CLASSES = 4, 3


def tiny_model(name="tiny", *, seed=0, golden=True, wrong_golden=False, trained=True, bad_samples=False):
    """Return the bytes of a model of one matrix product, two samples of which the first is labelled."""
    weights = np.random.default_rng(seed).normal(size=(FEATURES, CLASSES)).astype(np.float32)
    rows = np.array([[1, 2, 3, 4], [9, 7, 5, 3]], dtype=np.uint8)
    outputs = rows.astype(np.float32) * np.float32(0.1) @ weights
    samples = [
        {
            "name": f"s{i}",
            "shape": [1, FEATURES],
            "dtype": "uint8",
            "scale": 0.1,
            "offset": 0.0,
            "data": base64.b64encode(row.tobytes()[: 3 if bad_samples else None]).decode(),
            "truth": "abc"[int(out.argmax())] if i == 0 else None,
            "expect": [float(v) + (5.0 if wrong_golden else 0.0) for v in out] if golden else None,
        }
        for i, (row, out) in enumerate(zip(rows, outputs, strict=True))
    ]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        name,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, FEATURES])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, CLASSES])],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(
        model,
        {
            "edgewatt.model": name,
            "edgewatt.trained": "true" if trained else "false",
            "edgewatt.labels": json.dumps(["a", "b", "c"]),
            "edgewatt.samples": json.dumps(samples),
            "edgewatt.gmacs": "0.000000012",
        },
    )
    return model.SerializeToString()


def slow_model(*, size=384, layers=4, seed=0):
    """Return the bytes of a model without metadata that takes some tenths of a millisecond."""
    weights = np.random.default_rng(seed).normal(size=(size, size)).astype(np.float32) / size
    nodes = [helper.make_node("MatMul", [f"h{i}", "w"], [f"h{i + 1}"]) for i in range(layers)]
    graph = helper.make_graph(
        nodes,
        "slow",
        [helper.make_tensor_value_info("h0", TensorProto.FLOAT, [size, size])],
        [helper.make_tensor_value_info(f"h{layers}", TensorProto.FLOAT, [size, size])],
        [numpy_helper.from_array(weights, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()


def reference(data, base_url, *, sha256=None, size=None):
    """Return the ArtifactRef of `data` as `base_url` serves it; the arguments tell lies."""
    found = hashlib.sha256(data).hexdigest()
    promised = sha256 or found
    return ArtifactRef(
        url=f"{base_url}/models/sha256/{found}", sha256=promised, size=len(data) if size is None else size
    )


def colour_model(name="colours", *, shape=(1, 3, 8, 8), factor=1.0, **said):
    """Return the bytes of a model that answers which colour a picture is; `said` goes into `edgewatt.input`."""
    axes = [2, 3] if shape[1] == 3 else [1, 2]
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["image"], ["mean"], axes=axes, keepdims=0),
            helper.make_node("Mul", ["mean", "factor"], ["scores"]),
            helper.make_node("Softmax", ["scores"], ["output"], axis=1),
        ],
        name,
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, list(shape))],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 3])],
        [numpy_helper.from_array(np.array([factor], np.float32), "factor")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    labels = {"edgewatt.trained": "true", "edgewatt.labels": json.dumps(["red", "green", "blue"])}
    helper.set_model_props(model, {**labels, **({"edgewatt.input": json.dumps(said)} if said else {})})
    return model.SerializeToString()
