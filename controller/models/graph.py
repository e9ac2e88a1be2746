"""Draws MobileNet-shaped ONNX graphs with seeded random weights; needs onnx and numpy only."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from controller.models.onnx_file import examine

OPSET = 15
IR_VERSION = 8
"""What onnxruntime 1.10 reads, the last one for boards with Python 3.6."""

MOBILENET_V1 = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))
"""Channels and stride of the 13 separable blocks (Howard et al. 2017, table 1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """A square feature map on its way through the graph."""

    name: str
    channels: int
    side: int


class Net:
    """A graph under construction; the same seed draws the same weights in the same order."""

    def __init__(self, name: str, *, seed: int, half: bool = False) -> None:
        """Start an empty graph; `half` stores convolutions in fp16, to be computed in fp32 all the same."""
        self.name = name
        self._rng = np.random.default_rng(seed)
        self._half = half
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []

    def add(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Append one operator and return the name of its output."""
        self._nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def keep(self, name: str, values: NDArray[np.generic]) -> str:
        """Store `values` as they are and return their name."""
        self._weights.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def draw(self, name: str, shape: tuple[int, ...], fan_in: int) -> str:
        """Store He-initialised weights (variance 2 / fan-in, so activations keep their scale) and return their name."""
        values = self._rng.standard_normal(shape, dtype=np.float32) * np.float32(np.sqrt(2 / fan_in))
        if not self._half:
            return self.keep(name, values)
        return self.add("Cast", [self.keep(f"{name}_half", values.astype(np.float16))], name, to=TensorProto.FLOAT)

    def conv(self, x: Tensor, channels: int, *, kernel: int, stride: int = 1, depthwise: bool = False) -> Tensor:
        """Append convolution and ReLU, padded to keep the side but for the stride."""
        name = f"conv{len(self._nodes)}"
        groups = x.channels if depthwise else 1
        shape = (channels, x.channels // groups, kernel, kernel)
        weight = self.draw(f"{name}_weight", shape, shape[1] * kernel * kernel)
        pads = [kernel // 2] * 4
        self.add("Conv", [x.name, weight], name, group=groups, kernel_shape=shape[2:], strides=[stride] * 2, pads=pads)
        return Tensor(name=self.add("Relu", [name], f"{name}_relu"), channels=channels, side=-(-x.side // stride))

    def mobilenet_v1(self, x: Tensor, *, width: float) -> list[Tensor]:
        """Append the stem and 13 separable blocks at `width`; return the output of each block."""
        x = self.conv(x, scaled(32, width), kernel=3, stride=2)
        blocks = []
        for channels, stride in MOBILENET_V1:
            x = self.conv(x, x.channels, kernel=3, stride=stride, depthwise=True)
            x = self.conv(x, scaled(channels, width), kernel=1)
            blocks.append(x)
        return blocks

    def pool(self, x: Tensor, cells: int) -> str:
        """Append the mean over `cells` x `cells` fields, flattened; what is left over at the edge is dropped."""
        size = [x.side // cells] * 2
        pooled = self.add("AveragePool", [x.name], f"{x.name}_pool", kernel_shape=size, strides=size)
        return self.add("Flatten", [pooled], f"{x.name}_flat")

    def model(
        self,
        inputs: tuple[int, ...],
        outputs: tuple[int | str, ...],
        metadata: Mapping[str, object] | None = None,
        *,
        output: str = "output",
    ) -> onnx.ModelProto:
        """Return the model from `image` to `output`; values of `metadata` that are no text become JSON.

        Its name and what it costs are added to the metadata.
        """
        graph = helper.make_graph(
            self._nodes,
            self.name,
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, inputs)],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, outputs)],
            self._weights,
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="edgewatt"
        )
        facts = examine(model, name=self.name)
        cost = {"edgewatt.gmacs": facts.macs / 1e9, "edgewatt.params_m": facts.params / 1e6}
        document = {"edgewatt.model": self.name, **cost, **(metadata or {})}
        helper.set_model_props(model, {key: _text(value) for key, value in document.items()})
        return model


def scaled(channels: int, width: float) -> int:
    """Return `channels` at `width`, rounded to a multiple of 4 and at least 8."""
    return max(8, round(channels * width / 4) * 4)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
