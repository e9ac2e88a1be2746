"""Works out the arithmetic that exporters leave on shapes, so that the shapes of a graph can be told."""

import math
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from broker.errors import ArtifactError
from controller.models.onnx_tensors import KEEP_ELEMENTS, all_graphs, stored

ARITHMETIC = frozenset(
    {
        "Add",
        "Cast",
        "Ceil",
        "Clip",
        "Concat",
        "ConstantOfShape",
        "Div",
        "Floor",
        "Gather",
        "Max",
        "Min",
        "Mod",
        "Mul",
        "Neg",
        "Reshape",
        "Shape",
        "Slice",
        "Squeeze",
        "Sub",
        "Transpose",
        "Unsqueeze",
    }
)
MAX_ROUNDS = 64
"""Each round tells at least one more shape; networks need one for each padded stage."""

Shapes = dict[str, tuple[int, ...]]


def static_shapes(model: onnx.ModelProto) -> Shapes:
    """Return the shape of every tensor of `model` that can be told, also of those in graphs inside it.

    `model`, whose large weights need no values any more, is used up. Raises onnx.shape_inference.InferenceError where
    shapes contradict each other.
    """
    values = _small_values(model)
    for _ in range(MAX_ROUNDS):
        shapes = _infer(model)
        if not _fold(model, shapes, values):
            return shapes
    raise ArtifactError("its shapes depend on each other without end", hint="export it with a fixed input size")


def _infer(model: onnx.ModelProto) -> Shapes:
    shapes: Shapes = {}
    for graph in all_graphs(onnx.shape_inference.infer_shapes(model, data_prop=True).graph):
        shapes.update((name, dims) for name, dims, _ in stored(graph))
        for value in (*graph.input, *graph.value_info, *graph.output):
            kind = value.type.tensor_type
            if kind.HasField("shape") and all(d.HasField("dim_value") for d in kind.shape.dim):
                shapes[value.name] = tuple(d.dim_value for d in kind.shape.dim)
    return shapes


def _small_values(model: onnx.ModelProto) -> dict[str, Any]:
    """Return what is stored in the file itself and small enough to be part of a shape."""
    constants = {t.name: t for t in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant":
            constants.update((node.output[0], a.t) for a in node.attribute if a.name == "value")
    return {name: numpy_helper.to_array(t) for name, t in constants.items() if math.prod(t.dims) <= KEEP_ELEMENTS}


def _fold(model: onnx.ModelProto, shapes: Shapes, values: dict[str, Any]) -> bool:
    """Replace every node that computes a known small value by that value; return whether there was one."""
    kept, found = [], False
    for node in model.graph.node:
        result = _value(model, node, shapes, values)
        if result is None:
            kept.append(node)
            continue
        found = True
        values[node.output[0]] = result
        model.graph.initializer.append(numpy_helper.from_array(result, node.output[0]))
    if found:
        del model.graph.node[:]
        model.graph.node.extend(kept)
    return found


def _value(model: onnx.ModelProto, node: onnx.NodeProto, shapes: Shapes, values: dict[str, Any]) -> Any:
    if node.op_type not in ARITHMETIC or node.domain not in {"", "ai.onnx"}:
        return None
    if node.op_type == "Shape" and not node.attribute:
        shape = shapes.get(node.input[0])
        return None if shape is None else np.array(shape, np.int64)
    names = [name for name in node.input if name]
    if not names or any(name not in values for name in names):
        return None
    if node.op_type == "ConstantOfShape" and not 0 <= math.prod(values[names[0]].tolist()) <= KEEP_ELEMENTS:
        return None
    return _evaluate(model, node, {name: values[name] for name in names})


def _evaluate(model: onnx.ModelProto, node: onnx.NodeProto, inputs: dict[str, Any]) -> Any:
    """Return the only output of `node`; arithmetic on a handful of numbers."""
    kinds = {name: helper.np_dtype_to_tensor_dtype(value.dtype) for name, value in inputs.items()}
    infos = [helper.make_tensor_value_info(name, kinds[name], value.shape) for name, value in inputs.items()]
    output = helper.make_empty_tensor_value_info(node.output[0])
    graph = helper.make_graph([node], "shape", infos, [output])
    single = helper.make_model(graph, opset_imports=list(model.opset_import), ir_version=model.ir_version)
    try:
        outputs: Any = ReferenceEvaluator(single).run(None, inputs)
        result = np.asarray(outputs[0])
    except (ValueError, TypeError, IndexError, ZeroDivisionError, RuntimeError) as error:
        raise ArtifactError(f"the shape at {node.op_type} {node.name!r} makes no sense: {error}") from None
    return result if result.size <= KEEP_ELEMENTS else None
