"""Counts what a TFLite graph computes: parameters, multiply-adds, activations; nothing is executed."""

import math
from collections.abc import Iterator
from dataclasses import replace

from broker.errors import ArtifactError
from controller.models.facts import Precision
from controller.models.products import Product
from controller.models.tflite_graph import Graph, Operator, Tensor

CONVS = {"CONV_2D": (0, 1), "DEPTHWISE_CONV_2D": (0, 1), "TRANSPOSE_CONV": (2, 1), "CONV_3D": (0, 1)}
"""Convolutions, and which inputs they read and have their weights in."""

MATRICES = {"FULLY_CONNECTED": (0, 1), "BATCH_MATMUL": (0, 1)}
RECURRENT = {"UNIDIRECTIONAL_SEQUENCE_LSTM": range(1, 9)}
"""Recurrent layers, and which inputs are multiplied with each step."""

BIASES = {"CONV_2D": 2, "DEPTHWISE_CONV_2D": 2, "FULLY_CONNECTED": 2, "TRANSPOSE_CONV": 3, "CONV_3D": 2}
"""The input that holds a bias: in quantized files 32-bit integers, which elsewhere are shapes."""

NOT_COUNTED = {
    "BIDIRECTIONAL_SEQUENCE_LSTM",
    "BIDIRECTIONAL_SEQUENCE_RNN",
    "CONV_3D_TRANSPOSE",
    "LSTM",
    "RNN",
    "STABLEHLO_CONVOLUTION",
    "STABLEHLO_DOT_GENERAL",
    "SVDF",
    "UNIDIRECTIONAL_SEQUENCE_RNN",
}
"""These multiply too, and no network for a small board that we know has them."""

PADS = {"PAD", "PADV2"}
INTEGERS = {"int4", "int8", "uint8"}
WEIGHTS = {*INTEGERS, "float16", "bfloat16", "float32", "float64"}
ACTIVATIONS = {*INTEGERS, "int16"}


def params(graph: Graph) -> int:
    """Return how many numbers were learned, as if all were in fp32."""
    biases = {
        operator.inputs[position]
        for operator in graph.operators
        if (position := BIASES.get(operator.kind, -1)) in range(len(operator.inputs))
    }
    sizes = (
        math.prod(tensor.shape)
        for number, tensor in enumerate(graph.tensors)
        if tensor.stored and (tensor.dtype in WEIGHTS or number in biases)
    )
    return sum(size for size in sizes if size > 1)


def products(graph: Graph) -> list[Product]:
    """Return what multiplies in `graph`. Raises ArtifactError for an operator whose tensors do not fit it."""
    makers = {number: operator for operator in graph.operators for number in operator.outputs}
    return [product for each in graph.operators for product in _product(graph, makers, each)]


def _product(graph: Graph, makers: dict[int, Operator], operator: Operator) -> Iterator[Product]:
    if operator.kind in RECURRENT:
        given = _tensor(graph, operator, 0)
        weights = (graph.tensors[operator.inputs[i]] for i in RECURRENT[operator.kind] if operator.inputs[i] >= 0)
        yield Product(macs=math.prod(given.shape[:-1]) * sum(math.prod(w.shape) for w in weights))
    places = CONVS.get(operator.kind) or MATRICES.get(operator.kind)
    if places is None:
        return
    given, weight = (_tensor(graph, operator, place) for place in places)
    output = graph.tensors[operator.outputs[0]]
    numbers = _numbers(graph, makers, given, operator.inputs[places[1]])
    if operator.kind in MATRICES:
        depth = _depth(operator, given, weight)
        yield Product(macs=math.prod(output.shape) * depth, numbers=numbers)
        return
    padded = makers.get(operator.inputs[places[0]])
    source = _tensor(graph, padded, 0) if padded is not None and padded.kind in PADS else given
    yield replace(_conv(operator, given, weight, output, numbers), side=source.shape[-2])


def _conv(operator: Operator, given: Tensor, weight: Tensor, output: Tensor, numbers: Precision | None) -> Product:
    """Return a convolution; images are batch, height, width, channels."""
    channels, expected = given.shape[-1], weight.shape[-1]
    depthwise = operator.kind == "DEPTHWISE_CONV_2D"
    if operator.kind == "CONV_3D":  # depth, height, width, in, out
        expected = weight.shape[-2]
    if channels < 1 or expected < 1 or (expected % channels if depthwise else channels % expected):
        sides = "x".join(map(str, weight.shape))
        raise ArtifactError(
            f"{operator.kind} has weights {sides} for {channels} channels",
            hint="the graph is damaged; convert it again",
        )
    if operator.kind == "TRANSPOSE_CONV":
        macs = math.prod(given.shape) * math.prod(weight.shape[:-1])
    elif depthwise:
        macs = math.prod(output.shape) * math.prod(weight.shape[1:-1])
    else:
        macs = math.prod(output.shape) * math.prod(weight.shape) // max(1, output.shape[-1])
    return Product(
        macs=macs,
        numbers=numbers,
        is_conv=True,
        depthwise=depthwise or (expected == 1 and channels > 1),
        activations=math.prod(output.shape),
    )


def _depth(operator: Operator, given: Tensor, weight: Tensor) -> int:
    """Return how many products make one element of a matrix product."""
    if operator.kind == "FULLY_CONNECTED":
        return weight.shape[-1]
    return given.shape[-2] if operator.transposes_left else given.shape[-1]


def _numbers(graph: Graph, makers: dict[int, Operator], given: Tensor, number: int) -> Precision | None:
    """Return what a product computes in; None where its weights are not stored."""
    maker = makers.get(number)
    dequantized = maker is not None and maker.kind == "DEQUANTIZE"
    source = graph.tensors[maker.inputs[0]] if maker is not None and dequantized else graph.tensors[number]
    if not source.stored:
        return "static int8" if source.dtype in INTEGERS and given.dtype in ACTIVATIONS else None
    if source.dtype not in INTEGERS:
        return "fp16" if source.dtype in {"float16", "bfloat16"} else "fp32"
    if dequantized:
        return "weight-only int8"
    return "static int8" if given.dtype in ACTIVATIONS else "dynamic int8"


def _tensor(graph: Graph, operator: Operator, place: int) -> Tensor:
    """Return an input of a product, which has two dimensions at least."""
    tensor = graph.tensors[operator.inputs[place]] if len(operator.inputs) > place else None
    if tensor is None or operator.inputs[place] < 0 or len(tensor.shape) < 2 or not operator.outputs:  # noqa: PLR2004
        raise ArtifactError(
            f"a {operator.kind} has an input that it cannot multiply", hint="the graph is damaged; convert it again"
        )
    return tensor
