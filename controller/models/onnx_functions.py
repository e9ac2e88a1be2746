"""Puts the functions of an ONNX model in the place of their calls, after looking how large that becomes."""

from collections.abc import Sequence

from onnx import ModelProto, NodeProto
from onnx.inliner import inline_local_functions

from broker.errors import ArtifactError
from controller.models.facts import MAX_NODES
from controller.models.onnx_tensors import all_nodes

HINT = "export it again without functions: torch.onnx.export(…, dynamo=False)"

Key = tuple[str, str]


def inlined(file: str, model: ModelProto) -> ModelProto:
    """Return `model` without functions of its own.

    Raises ArtifactError where they call themselves or would become more operators than a network has.
    """
    if not model.functions:
        return model
    bodies = {(f.domain, f.name): f.node for f in model.functions}
    _expanded(file, model.graph.node, bodies, {}, ())
    try:
        return inline_local_functions(model)
    except (RuntimeError, ValueError, TypeError) as error:
        raise ArtifactError(f"{file}: its functions cannot be read: {str(error)[:200]}", hint=HINT) from None


def _expanded(
    file: str,
    nodes: Sequence[NodeProto],
    bodies: dict[Key, Sequence[NodeProto]],
    sizes: dict[Key, int],
    within: tuple[Key, ...],
) -> int:
    """Return how many operators `nodes` are when written out; `sizes` are those known of functions."""
    count = 0
    for node in all_nodes(nodes):
        key = (node.domain, node.op_type)
        if key in within:
            raise ArtifactError(f"{file}: function {node.op_type[:80]!r} calls itself", hint=HINT)
        if key in bodies and key not in sizes:
            sizes[key] = _expanded(file, bodies[key], bodies, sizes, (*within, key))
        count += sizes.get(key, 1)
        if count > MAX_NODES:
            raise ArtifactError(f"{file}: its functions unfold to over {MAX_NODES:,} operators", hint=HINT)
    return count
