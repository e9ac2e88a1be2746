"""Reads an ONNX file: the facts of its graph by shape inference, nothing is executed."""

from collections import Counter
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # its stubs come with no release

from broker.errors import ArtifactError
from controller.models import onnx_counting
from controller.models.facts import ModelFacts, check_node_count, check_shape
from controller.models.onnx_functions import inlined
from controller.models.onnx_shapes import Shapes, static_shapes
from controller.models.onnx_tensors import all_graphs, all_nodes, check_tensors, drop_weights
from controller.models.products import total

HINT = "export it again with torch.onnx.export or check it with python -m onnx.checker"
OURS = ("", "ai.onnx")
"""The domain of ONNX's own operators, in both spellings."""

LOOPS = {"Loop", "Scan"}


def read(path: Path) -> ModelFacts:
    """Return the facts of the ONNX file at `path`; raises ArtifactError as `controller.models.analyze` says."""
    data = path.read_bytes()
    return _facts(_parsed(path.name, data), data, name=path.name)


def examine(model: onnx.ModelProto, *, name: str) -> ModelFacts:
    """Return the facts of a `model` that was never a file, called `name` in errors; raises as `read` does."""
    data = model.SerializeToString()
    return _facts(_parsed(name, data), data, name=name)


def _parsed(name: str, data: bytes) -> onnx.ModelProto:
    try:
        model = onnx.load_model_from_string(data)
    except (DecodeError, ValueError) as error:
        raise ArtifactError(f"{name} is truncated or not an ONNX file: {_line(error)}", hint=HINT) from None
    if not model.ir_version or not model.opset_import:
        raise ArtifactError(f"{name} is not an ONNX file", hint="only .onnx and .tflite are read; " + HINT)
    return model


def _facts(model: onnx.ModelProto, data: bytes, *, name: str) -> ModelFacts:
    """Return the facts of `model`, which was read from `data` and is used up."""
    if not model.graph.node or not model.graph.output:
        raise ArtifactError(f"{name} holds no computation", hint=HINT)
    _check(name, model, data)
    drop_weights(model)
    model = inlined(name, model)
    given = onnx.ModelProto()
    given.CopyFrom(model)
    operators = Counter(_kind(node) for node in all_nodes(given.graph.node))
    notes = tuple(_notes(operators))
    dtypes = {value.name: _dtype(value) for value in (*model.graph.input, *model.graph.output)}
    inputs = _fix_inputs(name, model)
    shapes = _shapes(name, model)
    params = onnx_counting.params(given.graph)
    counts = total(onnx_counting.products(given.graph, shapes))
    if not params or not counts.macs:
        raise ArtifactError(f"{name} multiplies nothing: it is not a network", hint=" ".join((*notes, HINT)))
    outputs = {o.name: shapes.get(o.name, ()) for o in given.graph.output}
    return ModelFacts(
        format="onnx",
        params=params,
        macs=counts.macs,
        depthwise_macs=counts.depthwise_macs,
        activations=counts.activations,
        convs=counts.convs,
        input_res=counts.input_res,
        size_mb=len(data) / 1e6,
        opset=max((o.version for o in given.opset_import if o.domain in OURS), default=0),
        ir_version=given.ir_version,
        inputs=inputs,
        outputs=outputs,
        dtypes={each: dtypes.get(each, "unknown") for each in (*inputs, *outputs)},
        operators=dict(operators.most_common()),
        precision=counts.precision,
        metadata={p.key: p.value for p in given.metadata_props},
        notes=notes,
    )


def _check(name: str, model: onnx.ModelProto, data: bytes) -> None:
    """Refuse what is not wholly in the file, absurd, or against the rules of ONNX."""
    bodies = (model.graph.node, *(function.node for function in model.functions))
    check_node_count(name, sum(1 for body in bodies for _ in all_nodes(body)))
    check_tensors(name, model)
    try:
        onnx.checker.check_model(data)
    except (onnx.checker.ValidationError, ValueError) as error:
        raise ArtifactError(f"{name} is damaged: {_line(error)}", hint=HINT) from None


def _kind(node: onnx.NodeProto) -> str:
    return node.op_type if node.domain in OURS else f"{node.domain}.{node.op_type}"


def _notes(operators: Counter[str]) -> list[str]:
    foreign = sorted(kind for kind in operators if "." in kind)
    notes = []
    if foreign:
        notes.append(f"operators outside ONNX are not counted and run only where they are known: {', '.join(foreign)}")
    if loops := sorted(LOOPS.intersection(operators)):
        notes.append(f"the body of {' and '.join(loops)} is counted once, however often it runs")
    return notes


def _dtype(value: onnx.ValueInfoProto) -> str:
    try:
        return str(onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type).name)
    except (KeyError, ValueError, TypeError):
        return "unknown"


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
        check_shape(name, value.name, shape, smallest=1)
        inputs[value.name] = shape
    if not inputs:
        raise ArtifactError(f"{name} takes no input", hint=HINT)
    return inputs


def _shapes(name: str, model: onnx.ModelProto) -> Shapes:
    """Return every static shape; those that the file claims for its inner tensors are worked out afresh."""
    for graph in all_graphs(model.graph):
        del graph.value_info[:]
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    try:
        shapes = static_shapes(model)
    except (onnx.shape_inference.InferenceError, ValueError, RuntimeError) as error:
        raise ArtifactError(f"{name}: its shapes contradict each other: {_line(error)}", hint=HINT) from None
    for tensor, shape in shapes.items():
        check_shape(name, tensor, shape, smallest=0)
    return shapes


def _line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:200]
