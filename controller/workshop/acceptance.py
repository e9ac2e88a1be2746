"""Believes no worker: its file is read, compared with the order, and only then taken into the store."""

from dataclasses import replace
from pathlib import Path

import msgspec

from broker.errors import ArtifactError
from controller.models.analyze import analyze
from controller.models.manifest import About, Artifact
from controller.models.store import ArtifactStore
from controller.workshop.jobs import Order, Source
from controller.workshop.lines import Result

BROKEN = "this is a fault of the workshop; the controller's log has more"


def accept(result: Result, order: Order, out: Path, store: ArtifactStore) -> Artifact:
    """Return the artifact that `result`, made in the folder `out`, became.

    Raises ArtifactError for a file that is not there (`bad_result`), is not sound or is not what was ordered
    (`bad_artifact`), StorageError when it cannot be written.
    """
    path = Path(result.path).resolve()
    if not path.is_relative_to(out.resolve()) or not path.is_file():
        raise ArtifactError(
            f"the worker named a file that is not there for {order.model}", code="bad_result", hint=BROKEN
        )
    about = _about(result, order)
    facts = analyze(path)
    named = facts.metadata.get("edgewatt.model")
    if named != order.model:
        raise ArtifactError(f"the worker made {named!r}, not {order.model}", code="bad_result", hint=BROKEN)
    if facts.quantized != (order.variant == "int8"):
        raise ArtifactError(f"{order.model} came out {'in' if facts.quantized else 'without'} integers", hint=BROKEN)
    return store.add(path, model=order.model, format=order.format, about=about)


def _about(result: Result, order: Order) -> About:
    try:
        about = msgspec.convert(result.about, About)
    except msgspec.ValidationError as error:
        raise ArtifactError(
            f"what the worker says of {order.model} is not understood: {error}", code="bad_result", hint=BROKEN
        ) from None
    if about.variant != order.variant:
        raise ArtifactError(f"{order.model} came out as {about.variant}", code="bad_result", hint=BROKEN)
    return replace(about, made_from=_origin(order.source))


def _origin(source: Source) -> str:
    """Return what a file was made from: the SHA-256 of a stored file, which is its name there, or a network's name."""
    return Path(source.path).name if source.path else f"{source.kind}:{source.name}"
