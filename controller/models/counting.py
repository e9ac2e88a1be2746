"""Counts what an ONNX graph computes: parameters, multiply-adds, activations; nothing is executed."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import onnx

from broker.errors import ArtifactError

Shapes = Mapping[str, tuple[int, ...]]

CONVS = {"Conv": 1, "ConvInteger": 1, "QLinearConv": 3, "ConvTranspose": 1}
"""Convolutions, and which input holds their weights."""

NOT_WEIGHTS = {
    "QuantizeLinear": (1, 2),
    "DequantizeLinear": (1, 2),
    "QLinearConv": (1, 2, 4, 5, 6, 7),
    "QLinearMatMul": (1, 2, 4, 5, 6, 7),
    "ConvInteger": (2, 3),
    "MatMulInteger": (2, 3),
    "Resize": (1, 2, 3),
    "Upsample": (1,),
    "Clip": (1, 2),
    "Pad": (1, 2, 3),
    "Reshape": (1,),
}
"""Inputs that configure an operator; their numbers are not parameters of the model."""

NUMBERS = {
    onnx.TensorProto.FLOAT,
    onnx.TensorProto.FLOAT16,
    onnx.TensorProto.BFLOAT16,
    onnx.TensorProto.DOUBLE,
    onnx.TensorProto.INT8,
    onnx.TensorProto.UINT8,
    onnx.TensorProto.INT32,
}
"""Types that weights are stored in; int64 holds shapes and indices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Totals over a graph: parameters as if in fp32, multiply-adds, outputs of convolutions.

    `input_res` is the largest side of what a convolution reads: the size that the network really works at.
    """

    params: int
    macs: int
    depthwise_macs: int
    activations: int
    convs: int
    input_res: int


def count(graph: onnx.GraphProto, shapes: Shapes) -> Counts:
    """Return the totals of `graph`, whose tensors have the static `shapes`.

    Raises ArtifactError when the shape of something that is multiplied is not known.
    """
    macs = depthwise = activations = convs = side = 0
    for node in graph.node:
        if node.op_type in CONVS:
            cost, is_depthwise = _conv(node, shapes)
            macs += cost
            depthwise += cost if is_depthwise else 0
            activations += math.prod(_shape(shapes, node.output[0], node))
            convs += 1
            side = max(side, _shape(shapes, node.input[0], node)[-1])
        elif node.op_type in _PRODUCTS:
            macs += _PRODUCTS[node.op_type](node, shapes)
    return Counts(
        params=_params(graph), macs=macs, depthwise_macs=depthwise, activations=activations, convs=convs, input_res=side
    )


def _conv(node: onnx.NodeProto, shapes: Shapes) -> tuple[int, bool]:
    weight = _shape(shapes, node.input[CONVS[node.op_type]], node)
    side = node.input[0] if node.op_type == "ConvTranspose" else node.output[0]
    places = math.prod(_shape(shapes, side, node))
    group = next((a.i for a in node.attribute if a.name == "group"), 1)
    channels = _shape(shapes, node.input[0], node)[1]
    expected = weight[0] if node.op_type == "ConvTranspose" else weight[1] * group
    if channels != expected:
        raise ArtifactError(
            f"{node.op_type} {node.name!r} has weights {'x'.join(map(str, weight))} for {channels} channels",
            hint="the graph was put together wrongly; export it again",
        )
    return places * math.prod(weight[1:]), group > 1 and weight[1] == 1


def _gemm(node: onnx.NodeProto, shapes: Shapes) -> int:
    transposed = any(a.name == "transA" and a.i for a in node.attribute)
    left = _shape(shapes, node.input[0], node)
    return math.prod(_shape(shapes, node.output[0], node)) * left[0 if transposed else -1]


def _matmul(node: onnx.NodeProto, shapes: Shapes) -> int:
    return math.prod(_shape(shapes, node.output[0], node)) * _shape(shapes, node.input[0], node)[-1]


_PRODUCTS: dict[str, Callable[[onnx.NodeProto, Shapes], int]] = {
    "Gemm": _gemm,
    "MatMul": _matmul,
    "MatMulInteger": _matmul,
    "QLinearMatMul": _matmul,
}


def _shape(shapes: Shapes, name: str, node: onnx.NodeProto) -> tuple[int, ...]:
    if name not in shapes:
        raise ArtifactError(
            f"the shape of {name!r} at {node.op_type} {node.name!r} cannot be told from the file",
            hint="export the model with a fixed input size and batch 1",
        )
    return shapes[name]


def _params(graph: onnx.GraphProto) -> int:
    settings = {
        name
        for node in graph.node
        for position in NOT_WEIGHTS.get(node.op_type, ())
        for name in list(node.input)[position : position + 1]
    }
    constants = {
        n.output[0]: a.t for n in graph.node if n.op_type == "Constant" for a in n.attribute if a.name == "value"
    }
    tensors = {**constants, **{t.name: t for t in graph.initializer}}
    sizes = (
        math.prod(tensor.dims)
        for name, tensor in tensors.items()
        if name not in settings and tensor.data_type in NUMBERS
    )
    return sum(size for size in sizes if size > 1)
