"""Reads a TFLite file: the facts of its main graph and the texts that follow it; nothing is executed."""

from collections import Counter
from pathlib import Path

from broker.errors import ArtifactError
from broker.metadata import MEMBER, read_appended
from controller.models import tflite_counting
from controller.models.facts import ModelFacts, check_shape
from controller.models.products import total
from controller.models.tflite_graph import HINT, Graph, graphs


def read(path: Path) -> ModelFacts:
    """Return the facts of the TFLite file at `path`; raises ArtifactError as `controller.models.analyze` says."""
    name = path.name
    data = path.read_bytes()
    found = graphs(data, file=name)
    if not found or not found[0].operators or not found[0].outputs:
        raise ArtifactError(f"{name} holds no computation", hint=HINT)
    main = found[0]
    inputs = _inputs(name, main)
    counts = total(tflite_counting.products(main))
    params = sum(tflite_counting.params(graph) for graph in found)
    operators = Counter(operator.kind for operator in main.operators)
    notes = tuple(_notes(found, operators))
    if not params or not counts.macs:
        raise ArtifactError(f"{name} multiplies nothing: it is not a network", hint=" ".join((*notes, HINT)))
    ends = {number: _named(main, number) for number in (*main.inputs, *main.outputs)}
    return ModelFacts(
        format="tflite",
        params=params,
        macs=counts.macs,
        depthwise_macs=counts.depthwise_macs,
        activations=counts.activations,
        convs=counts.convs,
        input_res=counts.input_res,
        size_mb=len(data) / 1e6,
        opset=None,
        ir_version=None,
        inputs=inputs,
        outputs={ends[number]: main.tensors[number].shape for number in main.outputs},
        dtypes={end: main.tensors[number].dtype for number, end in ends.items()},
        operators=dict(operators.most_common()),
        precision=counts.precision,
        metadata=_metadata(path, data),
        notes=notes,
    )


def _inputs(file: str, graph: Graph) -> dict[str, tuple[int, ...]]:
    """Return the shapes of what a caller feeds; a free batch is 1 as the file stores it."""
    for number in graph.inputs:
        tensor = graph.tensors[number]
        if any(side < 0 for side in tensor.signature[1:]):
            raise ArtifactError(
                f"{file}: input {tensor.name[:80]!r} has a free size",
                hint="convert it with a fixed input size and batch 1",
            )
        check_shape(file, tensor.name, tensor.shape, smallest=1)
    if not graph.inputs:
        raise ArtifactError(f"{file} takes no input", hint=HINT)
    return {_named(graph, number): graph.tensors[number].shape for number in graph.inputs}


def _named(graph: Graph, number: int) -> str:
    return graph.tensors[number].name or f"tensor {number}"


def _notes(found: tuple[Graph, ...], operators: Counter[str]) -> list[str]:
    notes = []
    custom = sorted(kind.removeprefix("custom:") for kind in operators if kind.startswith("custom:"))
    if custom:
        notes.append(f"custom operators are not counted and run only where they are known: {', '.join(custom)}")
    if uncounted := sorted(tflite_counting.NOT_COUNTED.intersection(operators)):
        notes.append(f"the work of {', '.join(uncounted)} is not counted")
    if len(found) > 1:
        notes.append(f"{len(found)} graphs: the work of the first is counted, the parameters of all")
    return notes


def _metadata(path: Path, data: bytes) -> dict[str, str]:
    texts = read_appended(path)
    if not texts and MEMBER.encode() in data:
        raise ArtifactError(f"{path.name} is truncated: the texts behind the model do not end", hint="fetch it again")
    return texts
