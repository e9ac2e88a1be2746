"""Counts what an ONNX graph computes: parameters, multiply-adds, activations; nothing is executed."""

import math
from collections.abc import Iterator, Mapping, Sequence

from onnx import GraphProto, NodeProto, TensorProto

from broker.errors import ArtifactError
from controller.models.onnx_numbers import Constants
from controller.models.onnx_tensors import all_graphs, all_nodes, stored, subgraphs
from controller.models.products import Product

Shapes = Mapping[str, tuple[int, ...]]

CONVS = {"Conv": 1, "ConvInteger": 1, "QLinearConv": 3, "ConvTranspose": 1, "DeformConv": 1}
"""Convolutions, and which input holds their weights."""

MATRICES = {"Gemm": 1, "MatMul": 1, "MatMulInteger": 1, "QLinearMatMul": 3}
"""Matrix products, and which input is on the right."""

RECURRENT = {"LSTM", "GRU", "RNN"}

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
    TensorProto.FLOAT,
    TensorProto.FLOAT16,
    TensorProto.BFLOAT16,
    TensorProto.DOUBLE,
    TensorProto.INT4,
    TensorProto.UINT4,
    TensorProto.INT8,
    TensorProto.UINT8,
    TensorProto.INT32,
}
"""Types that weights are stored in; int64 holds shapes and indices."""


def params(graph: GraphProto) -> int:
    """Return how many numbers were learned, as if all were in fp32; what configures an operator is none."""
    settings = {
        name
        for node in all_nodes(graph.node)
        for position in NOT_WEIGHTS.get(node.op_type, ())
        for name in list(node.input)[position : position + 1]
    }
    sizes = (
        math.prod(dims)
        for inner in all_graphs(graph)
        for name, dims, kind in stored(inner)
        if name not in settings and kind in NUMBERS
    )
    return sum(size for size in sizes if size > 1)


def products(graph: GraphProto, shapes: Shapes) -> list[Product]:
    """Return what multiplies in `graph`, whose tensors have the static `shapes`; of an If the larger branch.

    Raises ArtifactError when the shape of something that is multiplied is not known.
    """
    return list(_products(graph.node, shapes, Constants.of(graph)))


def _products(nodes: Sequence[NodeProto], shapes: Shapes, constants: Constants) -> Iterator[Product]:
    for node in nodes:
        inner = [list(_products(graph.node, shapes, constants)) for graph in subgraphs(node)]
        if node.op_type == "If":
            yield from max(inner, key=lambda branch: sum(p.macs for p in branch), default=[])
            continue
        yield from (product for body in inner for product in body)
        if node.domain not in {"", "ai.onnx"}:
            continue
        if node.op_type in CONVS:
            yield _conv(node, shapes, constants)
        elif (macs := _macs(node, shapes)) is not None:
            weight = node.input[MATRICES.get(node.op_type, 1)]
            yield Product(macs=macs, numbers=constants.numbers(node, node.input[0], weight))


def _conv(node: NodeProto, shapes: Shapes, constants: Constants) -> Product:
    name = node.input[CONVS[node.op_type]]
    given, weight, output = (_shape(shapes, each, node) for each in (node.input[0], name, node.output[0]))
    if min(len(given), len(weight), len(output)) < 2:  # noqa: PLR2004 - batch and channels
        raise ArtifactError(f"{node.op_type} {node.name[:80]!r} has no channels", hint="export the model again")
    is_transposed = node.op_type == "ConvTranspose"
    group = next((a.i for a in node.attribute if a.name == "group"), 1)
    channels, expected = given[1], weight[0] if is_transposed else weight[1] * group
    if channels != expected:
        raise ArtifactError(
            f"{node.op_type} {node.name!r} has weights {'x'.join(map(str, weight))} for {channels} channels",
            hint="the graph was put together wrongly; export it again",
        )
    return Product(
        macs=math.prod(given if is_transposed else output) * math.prod(weight[1:]),
        numbers=constants.numbers(node, node.input[0], name),
        is_conv=True,
        depthwise=group > 1 and weight[1] == 1,
        activations=math.prod(output),
        side=given[-1],
    )


def _macs(node: NodeProto, shapes: Shapes) -> int | None:
    """Return the multiply-adds of a product that is no convolution, None for an operator that is none."""
    if node.op_type in MATRICES:
        transposed = node.op_type == "Gemm" and any(a.name == "transA" and a.i for a in node.attribute)
        left = _shape(shapes, node.input[0], node)
        return math.prod(_shape(shapes, node.output[0], node)) * left[0 if transposed else -1]
    if node.op_type in RECURRENT:
        steps = math.prod(_shape(shapes, node.input[0], node)[:2])
        return steps * sum(math.prod(_shape(shapes, name, node)) for name in node.input[1:3])
    if node.op_type == "Einsum" and len(node.input) > 1:
        return _einsum(node, shapes)
    return None


def _einsum(node: NodeProto, shapes: Shapes) -> int:
    """Return the product of the sizes of all indices; that of `...` is its largest."""
    equation = next(a.s for a in node.attribute if a.name == "equation").decode("ascii", "replace").replace(" ", "")
    sizes: dict[str, int] = {}
    for term, name in zip(equation.split("->")[0].split(","), node.input, strict=False):
        shape = _shape(shapes, name, node)
        before, ellipsis, after = term.partition("...")
        rest = math.prod(shape[len(before) : len(shape) - len(after)]) if ellipsis else 1
        sizes["..."] = max(sizes.get("...", 1), rest)
        sizes.update(zip(before, shape, strict=False))
        sizes.update(zip(reversed(after), reversed(shape), strict=False))
    return math.prod(sizes.values())


def _shape(shapes: Shapes, name: str, node: NodeProto) -> tuple[int, ...]:
    if name not in shapes:
        raise ArtifactError(
            f"the shape of {name!r} at {node.op_type} {node.name!r} cannot be told from the file",
            hint="export the model with a fixed input size and batch 1",
        )
    return shapes[name]
