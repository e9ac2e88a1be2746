"""Walks everything that an ONNX model stores, however deep, and refuses what is not wholly in the file."""

import math
from collections.abc import Iterator, Sequence

import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto

from broker.errors import ArtifactError
from controller.models.facts import check_shape

KEEP_ELEMENTS = 64
"""Shapes have few numbers; larger tensors lose their values once they were checked."""

_PACKED_BITS: dict[int, int] = {TensorProto.INT4: 4, TensorProto.UINT4: 4, TensorProto.FLOAT4E2M1: 4}
_NO_ARRAY = {TensorProto.STRING, TensorProto.UNDEFINED, TensorProto.COMPLEX64, TensorProto.COMPLEX128}
_VALUES = ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data")


def subgraphs(node: NodeProto) -> Iterator[GraphProto]:
    """Yield the graphs that `node` carries: branches of If, bodies of Loop and Scan."""
    for attribute in node.attribute:
        if attribute.type == AttributeProto.GRAPH:
            yield attribute.g
        yield from attribute.graphs


def all_graphs(graph: GraphProto) -> Iterator[GraphProto]:
    """Yield `graph` and every graph inside it."""
    yield graph
    for node in graph.node:
        for inner in subgraphs(node):
            yield from all_graphs(inner)


def all_nodes(nodes: Sequence[NodeProto]) -> Iterator[NodeProto]:
    """Yield `nodes` and every node of the graphs inside them."""
    for node in nodes:
        yield node
        for inner in subgraphs(node):
            yield from all_nodes(inner.node)


def stored(graph: GraphProto) -> Iterator[tuple[str, tuple[int, ...], int]]:
    """Yield name, shape and type of every constant of `graph`, sparse ones as if they were dense."""
    for tensor in graph.initializer:
        yield tensor.name, tuple(tensor.dims), tensor.data_type
    for sparse in graph.sparse_initializer:
        yield sparse.values.name, tuple(sparse.dims), sparse.values.data_type
    for node in graph.node:
        for attribute in node.attribute if node.op_type == "Constant" else ():
            if attribute.name == "value":
                yield node.output[0], tuple(attribute.t.dims), attribute.t.data_type
            elif attribute.name == "sparse_value":
                sparse = attribute.sparse_tensor
                yield node.output[0], tuple(sparse.dims), sparse.values.data_type


def check_tensors(file: str, model: ModelProto) -> None:
    """Raise ArtifactError for a tensor outside the file, of an absurd shape, or shorter than its shape says."""
    for tensor in _tensors(model):
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            raise ArtifactError(
                f"{file} keeps its weights in another file",
                hint="save it as one file: onnx.save_model(model, name, save_as_external_data=False)",
            )
        check_shape(file, tensor.name, tuple(tensor.dims), smallest=0)
        _check_length(file, tensor)
    for graph in all_graphs(model.graph):
        for sparse in graph.sparse_initializer:
            check_shape(file, sparse.values.name, tuple(sparse.dims), smallest=0)


def drop_weights(model: ModelProto) -> None:
    """Clear the values of every large tensor; no shape depends on them."""
    for tensor in _tensors(model):
        if math.prod(tensor.dims) > KEEP_ELEMENTS:
            for name in _VALUES:
                tensor.ClearField(name)


def _tensors(model: ModelProto) -> Iterator[TensorProto]:
    for graph in all_graphs(model.graph):
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
    bodies = (model.graph.node, *(function.node for function in model.functions))
    for node in (node for body in bodies for node in all_nodes(body)):
        for attribute in node.attribute:
            yield from _of_attribute(attribute)


def _of_attribute(attribute: AttributeProto) -> Iterator[TensorProto]:
    if attribute.HasField("t"):
        yield attribute.t
    yield from attribute.tensors
    single = [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []
    for sparse in (*attribute.sparse_tensors, *single):
        yield from (sparse.values, sparse.indices)


def _check_length(file: str, tensor: TensorProto) -> None:
    elements = math.prod(tensor.dims)
    if tensor.data_type in _NO_ARRAY:
        return
    bits = _PACKED_BITS.get(tensor.data_type) or 8 * _item_bytes(file, tensor)
    if tensor.HasField("raw_data"):
        is_whole = len(tensor.raw_data) >= (elements * bits + 7) // 8
    else:
        held = sum(len(getattr(tensor, name)) for name in _VALUES[1:])
        is_whole = held >= (elements * bits + 7) // 8 if bits < 8 else held >= elements  # noqa: PLR2004 - a byte
    if not is_whole:
        raise ArtifactError(
            f"{file} is truncated: tensor {tensor.name[:80]!r} is shorter than its shape says", hint="export it again"
        )


def _item_bytes(file: str, tensor: TensorProto) -> int:
    try:
        return int(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)
    except (KeyError, ValueError, TypeError):
        raise ArtifactError(
            f"{file}: tensor {tensor.name[:80]!r} is of type {tensor.data_type}, which ONNX does not know"
        ) from None
