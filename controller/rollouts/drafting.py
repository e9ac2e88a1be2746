"""Works out what a rollout would do: which devices it means, what the gate says of each, and their waves."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any

from broker.errors import NotFoundError, RefusedError
from controller import fleet
from controller.judge import Judge, Judgement
from controller.models.offer import Offer
from controller.rollouts import waves
from controller.rollouts.request import Request, Selection
from controller.rollouts.standing import Standing
from controller.rollouts.state import Rollout, RolloutPhase, Wave, outcome
from controller.storage.store import PIECE, Row, Store

NAMED = 20
"""How many devices a draft names of each kind; the rest are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A device that a rollout means; `standing` is WAITING for one that would get the model."""

    device_id: str
    device_type: str
    online: bool
    standing: Standing
    code: str | None
    reason: str | None
    judgement: Judgement


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A rollout before it is made: every device, and the ids of each wave."""

    request: Request
    candidates: tuple[Candidate, ...]
    waves: tuple[tuple[str, ...], ...]

    def of(self, standing: Standing) -> list[Candidate]:
        """Return the candidates that would stand so."""
        return [each for each in self.candidates if each.standing is standing]

    def begun(self, rollout_id: str, who: str, at: float) -> Rollout:
        """Return the rollout; one in which nobody gets anything has ended already and says why."""
        rules = self.request.rules
        aside = {each: len(self.of(each)) for each in (Standing.REFUSED, Standing.ALREADY) if self.of(each)}
        rollout = Rollout(
            id=rollout_id,
            model=self.request.model,
            who=who,
            created_at=at,
            since=at,
            deadline_at=max(at, rules.not_before or at) + self.request.within_s,
            waves=tuple(Wave(counts={Standing.WAITING: len(ids)}, since=at) for ids in self.waves),
            rules=rules,
            stands_aside=aside,
            phase=RolloutPhase.PLANNED if self.waves else RolloutPhase.SUCCEEDED,
        )
        return rollout if self.waves else replace(rollout, reason=outcome(rollout))

    def rows(self, at: float) -> list[tuple[Any, ...]]:
        """Return a row of the device table for each candidate, those of a wave in its order."""
        wave_of = {device_id: index for index, ids in enumerate(self.waves) for device_id in ids}
        place = {device_id: place for place, device_id in enumerate(wave_of)}
        ordered = sorted(self.candidates, key=lambda each: place.get(each.device_id, len(place)))
        return [
            (c.device_id, c.device_type, wave_of.get(c.device_id), c.standing.value, 0, at, c.code, c.reason)
            for c in ordered
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafting:
    """Reads the fleet and asks the gate; changes nothing."""

    store: Store
    judge: Judge

    def draft(self, request: Request) -> Draft:
        """Return what `request` would do. Raises NotFoundError (device, model, nobody is meant), InvalidError."""
        return drafted(request, self.pieces(request))

    def pieces(self, request: Request) -> Iterator[list[Candidate]]:
        """Yield every device that `request` means, some hundred at a time. Raises as `draft` does."""
        judged = self._judged(self._read(self._meant(request)), request)
        while piece := [_candidate(device, judgement) for device, judgement in islice(judged, PIECE)]:
            yield piece

    def candidate(self, device: Row, request: Request) -> Candidate:
        """Return what a device that is new would be in the rollout of `request`. Raises NotFoundError."""
        ((_, judgement),) = self._judged([device], request)
        return _candidate(device, judgement)

    def _judged(self, devices: Iterable[Row], request: Request) -> Iterator[tuple[Row, Judgement]]:
        terms = request.terms
        return self.judge.judge_all(
            devices,
            request.model,
            budget_mj=terms.budget_mj,
            policy=terms.policy,
            forced_reason=terms.reason if terms.force else None,
        )

    def _meant(self, request: Request) -> list[str]:
        named = tuple(dict.fromkeys((*request.selection.device_ids, *waves.names(request.waves))))
        selection = request.selection
        wanted = Selection(device_ids=named, tags=selection.tags, device_types=selection.device_types)
        for name in named:
            if not self.store.has_device(name):
                hint = fleet.nearest(name, self.store.near(name))
                raise NotFoundError(f"no device '{name[:80]}'", code="unknown_device", hint=hint)
        where, given = meaning(wanted)
        sql = f"SELECT id FROM devices WHERE {where} ORDER BY id"  # noqa: S608 - marks only
        found = [device_id for (device_id,) in self.store.connection.execute(sql, given)]
        if not found:
            raise NotFoundError("no device is meant", code="no_device", hint="name ids, tags (key=value) or types")
        return found

    def _read(self, names: Sequence[str]) -> Iterator[Row]:
        """Yield what the gate asks of devices, a few of them read at a time: documents are large."""
        for first in range(0, len(names), PIECE):
            piece = names[first : first + PIECE]
            marks = ", ".join("?" * len(piece))
            sql = f"SELECT id, approved, online, info, state FROM devices WHERE id IN ({marks}) ORDER BY id"  # noqa: S608 - marks only
            yield from self.store.query(sql, list(piece))


def drafted(request: Request, pieces: Iterable[Iterable[Candidate]]) -> Draft:
    """Return the draft of all devices that `request` means. Raises InvalidError for waves that make no sense."""
    found = tuple(chain.from_iterable(pieces))
    ordered = [each.device_id for each in _in_turn(found) if each.standing is Standing.WAITING]
    return Draft(request=request, candidates=found, waves=waves.cut(request.waves, ordered) if ordered else ())


def meaning(wanted: Selection) -> tuple[str, list[str]]:
    """Return in SQL which devices are meant, as `Selection.matches` says it."""
    ids, tags, types = (", ".join("?" * len(each)) for each in (wanted.device_ids, wanted.tags, wanted.device_types))
    named = f"id IN ({ids or 'NULL'}) OR id IN (SELECT device_id FROM device_tags WHERE tag IN ({tags or 'NULL'}))"  # noqa: S608 - marks only
    terms = [f"({named})"] if ids or tags or not types else []
    return " AND ".join([*terms, *([f"device_type IN ({types})"] if types else [])]), [
        *(wanted.device_ids if terms else ()),
        *(wanted.tags if terms else ()),
        *wanted.device_types,
    ]


def refusal_of(draft: Draft) -> RefusedError | None:
    """Return why `draft` may not be carried out: devices that it may leave out only when it is told to."""
    refused = draft.of(Standing.REFUSED)
    if not refused or (draft.request.only_fitting and len(refused) < len(draft.candidates)):
        return None
    fitting, total = len(draft.of(Standing.WAITING)), len(draft.candidates)
    codes = {each.code or "" for each in refused}
    return RefusedError(
        refused[0].reason or "refused" if total == 1 else f"{len(refused)} of {total} devices may not get the model",
        code=codes.pop() if len(codes) == 1 else "over_budget",
        hint=f"deploy to the {fitting} that fit: --only-fitting" if fitting else "",
        plan=document(draft),
    )


def document(draft: Draft) -> dict[str, Any]:
    """Return a draft for people: waves, what the gate says by board, and who is left out and why."""
    by_id = {each.device_id: each for each in draft.candidates}
    excluded = draft.of(Standing.REFUSED)
    return {
        "model": draft.request.model,
        "devices": len(draft.candidates),
        "away": sum(not each.online for each in draft.of(Standing.WAITING)),
        "already": [each.device_id for each in draft.of(Standing.ALREADY)][:NAMED],
        "already_count": len(draft.of(Standing.ALREADY)),
        "excluded": [_excluded(each) for each in excluded[:NAMED]],
        "excluded_count": len(excluded),
        "excluded_ids": [each.device_id for each in excluded],
        "boards": _boards(draft.candidates),
        "waves": [
            {"wave": index, "devices": len(ids), "away": sum(not by_id[i].online for i in ids), "ids": ids[:NAMED]}
            for index, ids in enumerate(draft.waves)
        ],
    }


def _boards(candidates: Iterable[Candidate]) -> list[dict[str, Any]]:
    """Return one row for each board and answer of the gate."""
    alike: dict[tuple[Any, ...], list[Candidate]] = defaultdict(list)
    for each in candidates:
        verdict = each.judgement.verdict
        figures = (verdict.low_mj, verdict.high_mj) if verdict.basis != "measurement" else ("measured",)
        alike[(each.device_type, verdict.verdict, each.code, *figures)].append(each)
    return [_board(found) for _, found in sorted(alike.items(), key=lambda item: (item[0][0], -len(item[1])))]


def _board(alike: Sequence[Candidate]) -> dict[str, Any]:
    first, verdict = alike[0], alike[0].judgement.verdict
    figures = ("verdict", "low_mj", "high_mj", "energy_mj", "budget_mj", "basis", "source", "support")
    return {name: getattr(verdict, name) for name in figures} | {
        "device_type": first.device_type,
        "devices": len(alike),
        "ids": [each.device_id for each in alike[:NAMED]],
        "allowed": first.standing is not Standing.REFUSED,
        "code": first.code,
        "reason": first.reason,
        "would_fit": [{"model": a.model, "energy_mj": a.energy_mj, "high_mj": a.high_mj} for a in verdict.would_fit],
    }


def _excluded(each: Candidate) -> dict[str, Any]:
    would_fit = [alternative.model for alternative in each.judgement.verdict.would_fit]
    return {"device_id": each.device_id, "code": each.code, "reason": each.reason, "would_fit": would_fit}


def _candidate(device: Row, judgement: Judgement) -> Candidate:
    verdict, standing = judgement.verdict, Standing.WAITING
    code: str | None = None
    reason: str | None = None
    if not device["approved"]:
        standing, code, reason = Standing.REFUSED, "not_approved", f"{device['id']} waits for approval"
    elif not verdict.allowed:
        standing, code, reason = Standing.REFUSED, verdict.code, verdict.sentence
    elif runs(device, judgement.offered):
        standing, reason = Standing.ALREADY, "it runs this very file"
    return Candidate(
        device_id=device["id"],
        device_type=(device["info"] or {}).get("device_type") or "unknown",
        online=bool(device["online"]),
        standing=standing,
        code=code,
        reason=reason,
        judgement=judgement,
    )


def runs(device: Row, offered: Offer) -> bool:
    """Return whether a device runs already the very file that it is offered."""
    active = (device["state"] or {}).get("active") or {}
    return offered.artifact is not None and active.get("artifact_sha256") == offered.artifact.sha256


def _in_turn(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Return who can be reached first, the boards taking turns, so that an early wave tries each of them."""
    turns: dict[tuple[bool, str], int] = defaultdict(int)
    keyed = []
    for each in candidates:
        kind = (not each.online, each.device_type)
        keyed.append(((not each.online, turns[kind], each.device_type), each))
        turns[kind] += 1
    return [each for _, each in sorted(keyed, key=lambda item: item[0])]
