"""Lets a person say which version of a model its bare name means: nothing is deployed by that."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from broker.errors import ConflictError, NotFoundError
from controller.fleet_list import FleetList
from controller.models.checking import Checked, check
from controller.models.store import ArtifactStore
from controller.models.versions import SHORT, Version, named, promoted, versions
from controller.rollouts.records import Rollouts
from controller.storage.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a promotion would change: what a model's name means `before` and `after`, None for its newest files.

    `running` is how many devices run which of its versions, by the SHA-256 that a version is called by.
    """

    model: str
    before: Version | None
    after: Version | None
    running: dict[str, int]

    @property
    def changed(self) -> bool:
        """Whether the name would mean something else."""
        return _sha256(self.before) != _sha256(self.after)

    @property
    def document(self) -> dict[str, Any]:
        """The plan for people and programs."""
        return {
            "model": self.model,
            "changed": self.changed,
            "promoted_before": _sha256(self.before),
            "promoted_sha256": _sha256(self.after),
            "devices": self.running,
            "sentence": self._sentence,
        }

    @property
    def _sentence(self) -> str:
        if not self.changed:
            return f"{self.model} means {_said(self.after)} already"
        own = self.running.get(self.after.sha256, 0) if self.after else 0
        other = sum(self.running.values()) - own
        runs = f"{own} of {own + other} devices that run it have this version; " if self.after and own + other else ""
        now = f"{self.model} means {_said(self.after)}, no longer {_said(self.before)}"
        return f"{now}; {runs}no device is changed by that"


@dataclass(frozen=True, slots=True, kw_only=True)
class Promoting:
    """Reads versions from the artifact store, and keeps there which one was promoted last."""

    store: Store
    artifacts: ArtifactStore
    rollouts: Rollouts

    def versions(self, model: str) -> tuple[Version, ...]:
        """Return every version of `model`, oldest first, those without bytes too. Raises NotFoundError."""
        every = sorted((*self.artifacts.all(), *self.artifacts.evicted()), key=lambda a: (a.created_at, a.sha256))
        found = versions(model, every)
        if not found:
            hint = f"edgewatt models download {model[:80]} makes it, where it is listed"
            raise NotFoundError(f"{model[:80]!r} is not in the store", code="no_artifact", hint=hint)
        return found

    def plan(self, model: str, digits: str | None, at: float) -> Plan:
        """Return what it would change to promote at `at` the version that `digits` names, none any more for None.

        Raises NotFoundError, InvalidError, ConflictError for one that is archived, has no bytes, or is in the way of
        a rollout.
        """
        found = self.versions(model)
        after = None if digits is None else named(found, digits)
        plan = Plan(model=model, before=promoted(found), after=after, running=self._running(found, at))
        if after is not None:
            _require_offered(after)
        under_way = [each.id for each in self.rollouts.open() if each.model == model]
        if plan.changed and under_way:
            raise ConflictError(
                f"{under_way[0]} rolls {model} out: its later devices would get another version",
                code="in_rollout",
                hint=f"wait for its end, or edgewatt rollouts abort {under_way[0]}",
            )
        return plan

    def check(self, plan: Plan) -> None:
        """Read every file that the name would mean anew. Raises ConflictError for one that may not be offered; slow."""
        held = [each for each in plan.after.artifacts if each.evicted_at is None] if plan.after else []
        _require_sound(plan.model, [check(self.artifacts, each, plan.model, self.artifacts.signer) for each in held])

    def carry_out(self, plan: Plan, who: str, at: float) -> None:
        """Let the name mean what `plan` says, and tell it; inside a transaction. What is so already changes nothing."""
        if not plan.changed:
            return
        if plan.after is not None:
            since = max(at, (plan.before.promoted_at or 0.0) + 1e-3) if plan.before else at  # whatever the clock does
            self.artifacts.promote(plan.after.sha256, plan.model, since)
        for version in self.versions(plan.model):
            for each in version.artifacts:
                if plan.model in each.promoted and (plan.after is None or each.sha256 != plan.after.sha256):
                    self.artifacts.promote(each.sha256, plan.model, None)
        facts = {"model": plan.model, "promoted_sha256": _sha256(plan.after), "promoted_before": _sha256(plan.before)}
        self.store.add_event(at, "model", plan.document["sentence"], who=who, facts=facts)

    def _running(self, found: Sequence[Version], at: float) -> dict[str, int]:
        running = FleetList(store=self.store).running(found[0].name, at)
        counted = {each.sha256: sum(running[sha256].total() for sha256 in each.digests) for each in found}
        return {sha256: number for sha256, number in counted.items() if number}


def _require_offered(version: Version) -> None:
    said = f"version {version.sha256[:SHORT]} of {version.name}"
    if version.archived:
        hint = f"edgewatt models archive {version.name} --undo brings it back"
        raise ConflictError(f"{said} is archived", code="archived", hint=hint)
    if all(each.evicted_at is not None for each in version.artifacts):
        raise ConflictError(f"the file of {said} left the store to make room", code="no_artifact", hint="add it again")


def _require_sound(model: str, found: Iterable[Checked]) -> None:
    for each in found:
        if not each.ok:
            what = f"its content is {each.content}" if each.content != "sound" else "its signature is not ours"
            raise ConflictError(
                f"{each.sha256[:SHORT]} of {model} may not be promoted: {what}",
                code="unverified",
                hint=f"`edgewatt models verify {model}` says more; add the file again",
            )


def _sha256(version: Version | None) -> str | None:
    return None if version is None else version.sha256


def _said(version: Version | None) -> str:
    return "its newest files" if version is None else f"version {version.sha256[:SHORT]}"
