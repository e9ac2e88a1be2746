"""The versions of a model: which there are, where each runs, and which one the model's name means."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fastapi import APIRouter

from broker.errors import EdgeWattError, InvalidError
from controller.api.described import RESPONSES
from controller.api.documents import Document, artifact_document
from controller.api.parts import Given, Origin, Parts
from controller.fleet_list import FleetList
from controller.measured import readings
from controller.models.changes import Change, Reading, changes, stated
from controller.models.model import Model
from controller.models.versions import Version, promoted

router = APIRouter(prefix="/api/models", tags=["models"], responses=RESPONSES)


@dataclass(frozen=True, kw_only=True)
class PromoteBody:
    """Which version of a model its name is to mean, by the beginning of a SHA-256; with `undo` its newest files."""

    model_name: str
    version: str | None = None
    undo: bool = False
    dry_run: bool = False


@router.post("/promote")
async def promote(parts: Given, origin: Origin, body: PromoteBody) -> dict[str, Any]:
    """Let a model's bare name mean one version, wherever it is given; no device is changed by that.

    The files are read again first. 409 for a version that is archived, damaged or gone, and while a rollout of the
    model is under way. `dry_run` answers with what would change, and changes nothing.
    """
    if (body.version is None) is not body.undo:
        raise InvalidError("say which version, or undo", hint="one of version and undo", field="version")
    plan = parts.promoting.plan(body.model_name, body.version, parts.clock())
    await asyncio.to_thread(parts.promoting.check, plan)
    if not body.dry_run:
        with parts.service.store.transaction():
            plan = parts.promoting.plan(body.model_name, body.version, parts.clock())
            parts.promoting.carry_out(plan, origin, parts.clock())
    return {"success": True, "dry_run": body.dry_run} | plan.document


@router.get("/named/{name}/versions")
async def list_versions(parts: Given, name: str) -> dict[str, Any]:
    """List the versions of a model, newest first: files, accuracy, and how many devices of each health run it.

    `means` is what the model's bare name means. `changes` hold each version against the one before it, by quantity,
    type of device and kind of figure: measured, modelled and simulated ones are means over devices, never mixed.
    """
    found = parts.promoting.versions(name)
    now = parts.clock()
    running = FleetList(store=parts.service.store).running(name, now)
    version, told = promoted(found), readings(parts.service.store, name)
    documents = [
        _document(parts, new, running, promoted=new == version) | _beside(parts, old, new, told)
        for old, new in zip((None, *found), found, strict=False)
    ][::-1]
    means = {"means": _means(parts, name), "promoted_sha256": version.sha256 if version else None}
    return {"success": True, "model": name, "as_of": now} | means | {"versions": documents}


def _means(parts: Parts, name: str) -> str | None:
    try:
        return parts.catalogue.get(name).means
    except EdgeWattError as error:
        return error.message


def _document(parts: Parts, version: Version, running: Mapping[str, Counter[str]], *, promoted: bool) -> Document:
    counted: Counter[str] = Counter()
    for sha256 in version.digests:
        counted.update(running.get(sha256, Counter()))
    model, first = parts.catalogue.of_version(version), version.artifacts[0]
    return {
        "sha256": version.sha256,
        "number": version.number,
        "created_at": version.created_at,
        "promoted": promoted,
        "archived": version.archived,
        "formats": list(dict.fromkeys(each.format for each in version.artifacts if each.evicted_at is None)),
        "size": first.size,
        "source": model.source if model else first.about.source,
        "top1_pct": model.top1_pct if model else first.about.top1_pct,
        "top1_source": model.top1_source if model else None,
        "runs": dict(counted),
        "artifacts": [artifact_document(each) for each in version.artifacts],
    }


def _beside(parts: Parts, old: Version | None, new: Version, told: Sequence[Reading]) -> Document:
    """Return what `new` costs beside `old`."""
    if old is None:
        return {"previous_sha256": None, "changes": []}
    before, after = parts.catalogue.of_version(old), parts.catalogue.of_version(new)
    accuracies = [model.top1_pct if model else None for model in (before, after)]
    found = [*changes(old.digests, new.digests, told), *_predicted(parts, before, after, told)]
    found += stated("top1_pct", "told", None, *accuracies)
    return {"previous_sha256": old.sha256, "changes": [_change_document(each) for each in found]}


def _predicted(parts: Parts, old: Model | None, new: Model | None, told: Sequence[Reading]) -> list[Change]:
    """Return what both are predicted to cost on each type of device that one of them ran on, else on all there are."""
    kinds = {each.device_type for each in told} or {kind for _, kind in parts.service.judge.device_types()}
    found: list[Change] = []
    for kind in sorted(kinds):
        costs = [parts.predictor.predict(each.features, kind).energy_mj if each else None for each in (old, new)]
        found += stated("energy_mj", "predicted", kind, *costs)
    return found


def _change_document(change: Change) -> Document:
    figures = {
        name: None if figure is None else asdict(figure) for name, figure in (("old", change.old), ("new", change.new))
    }
    names = ("quantity", "kind", "device_type")
    said = {"change_percent": change.percent, "better": change.better, "sentence": change.sentence}
    return {name: getattr(change, name) for name in names} | figures | said
