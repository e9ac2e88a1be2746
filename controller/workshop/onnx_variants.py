"""Halves or quantises an ONNX file: fp16 with fp32 at both ends, int8 with a scale per channel."""

from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime.transformers.float16 import convert_float_to_float16

from controller.models.manifest import Variant
from controller.workshop.failures import refused
from controller.workshop.network import Floats


def write_variant(source: Path, path: Path, variant: Variant, calibration: Sequence[Floats]) -> dict[str, str]:
    """Write the fp32 file `source` at `path` in `variant`, int8 by what it does on `calibration`; return the tool.

    Raises ArtifactError (`unsupported_operator`, `conversion_failed`).
    """
    try:
        _halve(source, path) if variant == "fp16" else _quantise(source, path, calibration)
    except Exception as error:  # onnxruntime raises a dozen unrelated classes
        raise refused(f"onnxruntime's {variant} converter", error, hint="keep fp32") from error
    return {"onnxruntime": version("onnxruntime")}


def _halve(source: Path, path: Path) -> None:
    onnx.save(convert_float_to_float16(onnx.load(source), keep_io_types=True), path)


def _quantise(source: Path, path: Path, calibration: Sequence[Floats]) -> None:
    prepared = path.with_suffix(".prepared.onnx")
    quant_pre_process(source, prepared, skip_symbolic_shape=True)
    graph = onnx.load(prepared).graph
    quantize_static(
        prepared,
        path,
        _Reader(graph.input[0].name, iter(calibration)),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        weight_type=QuantType.QInt8,
        activation_type=QuantType.QInt8,
        # Kernels without VNNI add two products in 16 bits, where two full weights overflow. Depthwise ones do not.
        reduce_range=True,
        nodes_to_exclude=[node.name for node in graph.node if node.op_type == "Softmax"],
        extra_options={"TensorQuantOverrides": _full_range(graph)},
    )
    prepared.unlink()


def _full_range(graph: Any) -> dict[str, list[dict[str, Any]]]:
    """Return the weights of depthwise convolutions, which need their last bit most and cannot overflow."""
    weights = {weight.name: weight for weight in graph.initializer}
    wanted = {"axis": 0, "quant_type": QuantType.QInt8, "reduce_range": False}
    return {
        node.input[1]: [wanted]
        for node in graph.node
        if node.op_type == "Conv" and node.input[1] in weights and weights[node.input[1]].dims[1] == 1
    }


class _Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime ships no types
    """Hands one input after the other to onnxruntime's calibrator."""

    def __init__(self, name: str, images: Iterator[Floats]) -> None:
        self._name = name
        self._images = images

    def get_next(self) -> dict[str, Floats] | None:
        image = next(self._images, None)
        return None if image is None else {self._name: image}
