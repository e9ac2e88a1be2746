"""Tells in what numbers an operator of an ONNX graph computes, from where its weights and its input come."""

from dataclasses import dataclass
from typing import Self

from onnx import GraphProto, NodeProto, TensorProto

from controller.models.facts import Precision
from controller.models.onnx_tensors import all_graphs, all_nodes, stored

FLOATS: dict[int, Precision] = {
    TensorProto.FLOAT: "fp32",
    TensorProto.DOUBLE: "fp32",
    TensorProto.FLOAT16: "fp16",
    TensorProto.BFLOAT16: "fp16",
}
LAYOUT = {"Transpose", "Reshape", "Identity", "Squeeze", "Unsqueeze", "Flatten"}
"""Operators that only move numbers about."""

MAX_STEPS = 8
"""Between a weight and where it is used stand one or two operators."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Constants:
    """The types of all stored tensors, and which node makes a tensor."""

    kinds: dict[str, int]
    makers: dict[str, NodeProto]

    @classmethod
    def of(cls, graph: GraphProto) -> Self:
        """Return those of `graph` and of the graphs inside it."""
        return cls(
            kinds={name: kind for inner in all_graphs(graph) for name, _, kind in stored(inner)},
            makers={name: node for node in all_nodes(graph.node) for name in node.output if node.op_type != "Constant"},
        )

    def numbers(self, node: NodeProto, given: str, weight: str) -> Precision | None:
        """Return what `node` computes in with `weight` on what is `given`; None where neither is stored."""
        if node.op_type.startswith("QLinear"):
            return "static int8"
        if node.op_type.endswith("Integer"):
            return "dynamic int8"
        if node.op_type == "MatMul" and self._origin(weight)[0] is None:
            given, weight = weight, given
        kind, maker = self._origin(weight)
        if kind is None or maker is None or maker.op_type != "DequantizeLinear":
            return FLOATS.get(kind or 0)
        return self._dequantized(given)

    def _dequantized(self, given: str) -> Precision:
        """Return what a product of dequantized weights is: it depends on how its other side became integers."""
        maker = self._maker(given)
        if maker is None or maker.op_type != "DequantizeLinear":
            return "weight-only int8"
        source = self._maker(maker.input[0])
        return "dynamic int8" if source is not None and source.op_type == "DynamicQuantizeLinear" else "static int8"

    def _origin(self, name: str) -> tuple[int | None, NodeProto | None]:
        """Return the type in which the constant `name` takes part, and what made it of a stored one."""
        maker = self._maker(name)
        if maker is None:
            return self.kinds.get(self._source(name)), None
        source = self._source(maker.input[0]) if maker.input else ""
        if source not in self.kinds:
            return None, maker
        if maker.op_type == "Cast":
            return next((a.i for a in maker.attribute if a.name == "to"), None), maker
        return (self.kinds[source], maker) if maker.op_type == "DequantizeLinear" else (None, maker)

    def _maker(self, name: str) -> NodeProto | None:
        return self.makers.get(self._source(name))

    def _source(self, name: str) -> str:
        """Return the tensor that `name` is but for its layout."""
        for _ in range(MAX_STEPS):
            maker = self.makers.get(name)
            if maker is None or maker.op_type not in LAYOUT or not maker.input:
                break
            name = maker.input[0]
        return name
