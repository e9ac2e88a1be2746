"""Reads a TFLite flatbuffer into plain records, within the bounds of the file; nothing is executed.

Flatbuffers has no verifier for Python, so each count is held against what a network can have, each offset against the
end of the file, and whatever the reader stumbles over is one error.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import tflite

from broker.errors import ArtifactError
from controller.models.facts import MAX_NODES, check_shape

HINT = "convert it again, or open it with ai_edge_litert.interpreter.Interpreter to see what a runtime says"

MAX_ITEMS = 200_000
"""Entries of all lists together: operators, tensors, their sides, inputs and outputs. Networks have some thousands."""

MAX_TEXT_BYTES = 4_096
MAX_SIDES = 8

TYPES = {number: name.lower() for name, number in vars(tflite.TensorType).items() if name.isupper()}
BITS = {"float64": 64, "int64": 64, "float32": 32, "int32": 32, "uint32": 32, "float16": 16, "bfloat16": 16} | {
    "int16": 16,
    "uint16": 16,
    "int8": 8,
    "uint8": 8,
    "bool": 8,
    "int4": 4,
}
CUSTOM = tflite.BuiltinOperator.CUSTOM

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """One tensor; `stored` when the file has its values, `signature` has -1 where a size is free."""

    name: str
    shape: tuple[int, ...]
    signature: tuple[int, ...]
    dtype: str
    stored: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """One operator by its name in the schema, `custom:…` for one that is none of TFLite's; -1 is an input left out."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    transposes_left: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """One graph of a file, its tensors by number."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def graphs(data: bytes, *, file: str) -> tuple[Graph, ...]:
    """Return the graphs of the flatbuffer `data`, the main one first.

    Raises ArtifactError when it is truncated, damaged or larger than any network.
    """
    try:
        return tuple(_Reader(data=_Bounded(data), file=file).graphs())
    except (struct.error, TypeError, ValueError, IndexError, OverflowError) as error:
        raise ArtifactError(f"{file} is truncated or damaged: {str(error)[:120]}", hint=HINT) from None


class _Bounded(bytes):
    """The content of the file, of which no text is taken that is long or goes past the end."""

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice) and not (0 <= key.start <= key.stop <= len(self)):
            raise ValueError("a text goes past the end")
        if isinstance(key, slice) and key.stop - key.start > MAX_TEXT_BYTES:
            raise ValueError(f"a text of over {MAX_TEXT_BYTES} bytes")
        return super().__getitem__(key)


@dataclass(slots=True, kw_only=True)
class _Reader:
    data: _Bounded
    file: str
    _items: int = 0
    _bytes_of: list[int] = field(default_factory=list)
    _kinds: list[str] = field(default_factory=list)

    def graphs(self) -> Iterator[Graph]:
        model = tflite.Model.GetRootAs(self.data)
        self._bytes_of = [self._length(buffer) for buffer in self._each(model.Buffers, model.BuffersLength())]
        self._kinds = [_kind(code) for code in self._each(model.OperatorCodes, model.OperatorCodesLength())]
        for each in self._each(model.Metadata, model.MetadataLength()):
            each.Name()
        for graph in self._each(model.Subgraphs, model.SubgraphsLength()):
            yield self._graph(graph)

    def _each(self, get: Callable[[int], _T | None], length: int) -> Iterator[_T]:
        """Yield the entries of a list, once it is known to be no longer than the file allows."""
        self._items += length
        if length * 4 > len(self.data):
            raise ValueError(f"a list of {length:,} entries")
        if self._items > MAX_ITEMS:
            raise ArtifactError(f"{self.file} has over {MAX_ITEMS:,} entries in its lists", hint=HINT)
        for index in range(length):
            if (found := get(index)) is not None:
                yield found

    def _graph(self, graph: tflite.SubGraph) -> Graph:
        if graph.OperatorsLength() > MAX_NODES:
            raise ArtifactError(f"{self.file} has over {MAX_NODES:,} operators", hint=HINT)
        inputs = tuple(self._each(graph.Inputs, graph.InputsLength()))
        outputs = tuple(self._each(graph.Outputs, graph.OutputsLength()))
        tensors = tuple(self._tensor(each) for each in self._each(graph.Tensors, graph.TensorsLength()))
        operators = tuple(self._operator(each) for each in self._each(graph.Operators, graph.OperatorsLength()))
        used = {*inputs, *outputs, *(number for each in operators for number in (*each.inputs, *each.outputs))}
        if any(not -1 <= number < len(tensors) for number in used) or any(n < 0 for n in (*inputs, *outputs)):
            raise ValueError("an operator names a tensor that is not there")
        return Graph(tensors=tensors, operators=operators, inputs=inputs, outputs=outputs)

    def _tensor(self, tensor: tflite.Tensor) -> Tensor:
        name = (tensor.Name() or b"").decode("utf-8", "replace")
        shape = tuple(self._each(tensor.Shape, _sides(tensor.ShapeLength())))
        signature = tuple(self._each(tensor.ShapeSignature, _sides(tensor.ShapeSignatureLength())))
        check_shape(self.file, name, shape, smallest=0)
        dtype = TYPES.get(tensor.Type(), "unknown")
        held = self._bytes_of[tensor.Buffer()]
        bits = BITS.get(dtype)
        if held and bits and tensor.Sparsity() is None and held * 8 < _elements(shape) * bits:
            raise ValueError(f"tensor {name[:80]!r} is shorter than its shape says")
        return Tensor(name=name, shape=shape, signature=signature or shape, dtype=dtype, stored=held > 0)

    def _operator(self, operator: tflite.Operator) -> Operator:
        kind = self._kinds[operator.OpcodeIndex()]
        return Operator(
            kind=kind,
            inputs=tuple(self._each(operator.Inputs, operator.InputsLength())),
            outputs=tuple(self._each(operator.Outputs, operator.OutputsLength())),
            transposes_left=kind == "BATCH_MATMUL" and _transposes_left(operator),
        )

    def _length(self, buffer: tflite.Buffer) -> int:
        """Return the bytes that `buffer` has, within the flatbuffer or behind it; they are not copied."""
        if buffer.Size():
            if buffer.Offset() + buffer.Size() > len(self.data):
                raise ValueError("weights go past the end")
            return int(buffer.Size())
        values = buffer.DataAsNumpy()
        return 0 if isinstance(values, int) else int(values.size)


def _kind(code: tflite.OperatorCode) -> str:
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    if number == CUSTOM:
        return "custom:" + (code.CustomCode() or b"?").decode("utf-8", "replace")
    return str(tflite.BUILTIN_OPCODE2NAME.get(number, f"operator {number}"))


def _transposes_left(operator: tflite.Operator) -> bool:
    table = operator.BuiltinOptions()
    if table is None:
        return False
    options = tflite.BatchMatMulOptions()
    options.Init(table.Bytes, table.Pos)
    return bool(options.AdjX())


def _sides(length: int) -> int:
    if length > MAX_SIDES:
        raise ValueError(f"a tensor of {length:,} dimensions")
    return length


def _elements(shape: tuple[int, ...]) -> int:
    count = 1
    for side in shape:
        count *= side
    return count
