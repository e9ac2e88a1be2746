"""Reads a model file without running it: what it is, what it computes, whether it is sound."""

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # its stubs come with no release

from broker.errors import ArtifactError
from controller.models.counting import count
from controller.models.folding import static_shapes
from controller.predict.features import Features

MAX_BYTES = 1_000_000_000
"""Larger files are no vision models for small boards; protobuf itself ends at 2 GiB."""

MAX_ELEMENTS = 268_435_456
"""1 GiB of fp32 in a single tensor: no board of a fleet holds more."""

QUANTIZED_OPS = {
    "QLinearConv",
    "QLinearMatMul",
    "ConvInteger",
    "MatMulInteger",
    "QuantizeLinear",
    "DynamicQuantizeLinear",
}
"""Any of these computes in integers; DequantizeLinear alone only stores weights small."""

HINT = "export it again with torch.onnx.export or check it with python -m onnx.checker"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What a file says about itself; `params` counted as if in fp32, `size_mb` 10^6 bytes of the file."""

    params: int
    macs: int
    depthwise_macs: int
    activations: int
    convs: int
    input_res: int
    size_mb: float
    opset: int
    ir_version: int
    inputs: dict[str, tuple[int, ...]]
    outputs: dict[str, tuple[int, ...]]
    operators: dict[str, int]
    quantized: bool
    metadata: dict[str, str]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of the first input, batch first."""
        return next(iter(self.inputs.values()))

    @property
    def features(self) -> Features:
        """The same facts as a predictor takes them; without convolutions no activations are known."""
        return Features(
            params_m=self.params / 1e6,
            gmacs=self.macs / 1e9,
            size_mb=self.size_mb,
            macts_m=self.activations / 1e6 or None,
            input_res=self.input_res or None,
            quantized=self.quantized,
            dw_gmacs=self.depthwise_macs / 1e9,
            n_convs=self.convs,
        )


def analyze(path: Path) -> ModelFacts:
    """Return the facts of the ONNX file at `path`; a free batch is taken as 1.

    Raises ArtifactError for a file that is missing, empty, too large, truncated, not ONNX, split into external data, or
    whose shapes are absurd or cannot be told.
    """
    size = _size(path)
    return examine(_load(path), name=path.name, size=size)


def examine(model: onnx.ModelProto, *, name: str, size: int) -> ModelFacts:
    """Return the facts of a loaded `model` of `size` bytes, called `name` in errors; raises as `analyze` does."""
    if not model.graph.node or not model.graph.output:
        raise ArtifactError(f"{name} holds no computation", hint=HINT)
    _refuse_external_data(name, model)
    given, model = model, onnx.ModelProto()
    model.CopyFrom(given)
    inputs = _fix_inputs(name, model)
    shapes = _shapes(name, model)
    counts = count(given.graph, shapes)
    if not counts.params or not counts.macs:
        raise ArtifactError(f"{name} multiplies nothing: it is not a network", hint=HINT)
    operators = Counter(node.op_type for node in given.graph.node)
    return ModelFacts(
        params=counts.params,
        macs=counts.macs,
        depthwise_macs=counts.depthwise_macs,
        activations=counts.activations,
        convs=counts.convs,
        input_res=counts.input_res,
        size_mb=size / 1e6,
        opset=max((o.version for o in model.opset_import if o.domain in {"", "ai.onnx"}), default=0),
        ir_version=model.ir_version,
        inputs=inputs,
        outputs={o.name: shapes.get(o.name, ()) for o in model.graph.output},
        operators=dict(operators.most_common()),
        quantized=not QUANTIZED_OPS.isdisjoint(operators),
        metadata={p.key: p.value for p in model.metadata_props},
    )


def _size(path: Path) -> int:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise ArtifactError(f"cannot read {path}: {error.strerror}", hint="check the path") from None
    if not size:
        raise ArtifactError(f"{path.name} is empty", hint="the download or the export did not finish; do it again")
    if size > MAX_BYTES:
        raise ArtifactError(f"{path.name} has {size / 1e6:,.0f} MB; the limit is {MAX_BYTES / 1e6:,.0f} MB")
    return size


def _load(path: Path) -> onnx.ModelProto:
    try:
        model = onnx.load(path, load_external_data=False)
    except (DecodeError, OSError, ValueError) as error:
        raise ArtifactError(f"{path.name} is truncated or not an ONNX file: {_line(error)}", hint=HINT) from None
    if not model.ir_version or not model.opset_import:
        raise ArtifactError(f"{path.name} is not an ONNX file", hint="only .onnx is read; " + HINT)
    return model


def _refuse_external_data(name: str, model: onnx.ModelProto) -> None:
    if any(t.data_location == onnx.TensorProto.EXTERNAL for t in model.graph.initializer):
        raise ArtifactError(
            f"{name} keeps its weights in another file",
            hint="save it as one file: onnx.save_model(model, name, save_as_external_data=False)",
        )
    for tensor in model.graph.initializer:
        _check_dims(name, tensor.name, tuple(tensor.dims), smallest=0)
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError) as error:
        raise ArtifactError(f"{name} is damaged: {_line(error)}", hint=HINT) from None


def _fix_inputs(name: str, model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """Return the shapes of what a caller feeds; a free first dimension becomes 1 in `model`."""
    stored = {t.name for t in model.graph.initializer}
    inputs = {}
    for value in model.graph.input:
        if value.name in stored:
            continue
        dims = value.type.tensor_type.shape.dim
        if dims and not dims[0].dim_value:
            dims[0].dim_value = 1
        shape = tuple(d.dim_value for d in dims)
        if any(d.dim_param or not d.HasField("dim_value") for d in dims[1:]):
            raise ArtifactError(
                f"{name}: input {value.name!r} has a free size",
                hint="export it with a fixed input size and batch 1",
            )
        _check_dims(name, value.name, shape, smallest=1)
        inputs[value.name] = shape
    if not inputs:
        raise ArtifactError(f"{name} takes no input", hint=HINT)
    return inputs


def _shapes(name: str, model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """Return every static shape; those that the file claims for its inner tensors are worked out afresh."""
    del model.graph.value_info[:]
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    try:
        shapes = static_shapes(model)
    except (onnx.shape_inference.InferenceError, ValueError, RuntimeError) as error:
        raise ArtifactError(f"{name}: its shapes contradict each other: {_line(error)}", hint=HINT) from None
    for tensor, shape in shapes.items():
        _check_dims(name, tensor, shape, smallest=0)
    return shapes


def _check_dims(file: str, name: str, shape: tuple[int, ...], *, smallest: int) -> None:
    if any(d < smallest for d in shape) or math.prod(shape) > MAX_ELEMENTS:
        raise ArtifactError(
            f"{file}: tensor {name!r} has the absurd shape {'x'.join(map(str, shape))}",
            hint=f"at most {MAX_ELEMENTS:,} elements and no negative side",
        )


def _line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:200]
