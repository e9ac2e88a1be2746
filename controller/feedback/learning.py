"""Keeps the corrections of devices: fits them to runs, lets devices learn from their own, takes them back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from broker.energy import MEASURED
from broker.errors import ConflictError, EdgeWattError, InvalidError
from controller.feedback.calibration import FEWEST_RUNS
from controller.feedback.contest import (
    FEWEST,
    correction_error_percent,
    held_out_error_percent,
    prior_error_percent,
    takes_over,
    telling,
)
from controller.feedback.corrections import Corrections, Kept, Origin
from controller.feedback.ledger import SIMULATED, Entry
from controller.predict.calibrate import Run, calibrate
from controller.service import Service
from controller.storage.store import Row

MOST_RUNS = 60
"""How many models a device learns from by itself; more would only slow the fit down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """What devices taught about themselves; call it inside a transaction where no other word is said."""

    service: Service
    corrections: Corrections

    def learn(self, device: Row, at: float) -> None:
        """Fit a challenger to what the device itself has measured, and use it if it beats what is used now."""
        prior, device_type = self.service.judge.predictor, type_of(device)
        found = self.service.bookkeeping.book.entries(device_id=device["id"], device_type=device_type, limit=1_000)
        entries = [entry for entry in found if entry.teaches]
        if sum(e.at > self.corrections.undone_at(device["id"]) for e in entries) < FEWEST:
            return
        runs = self._telling(device, self._runs(entries))
        if len(runs) < FEWEST:
            return
        held_out_percent = held_out_error_percent(prior, device_type, runs)
        if takes_over(self._standing_percent(device, runs), held_out_percent, len(runs)):
            self.keep(device, runs, "fleet", at)

    def keep(self, device: Row, runs: Sequence[Run], origin: Origin, at: float, *, who: str = "controller") -> Kept:
        """Fit a correction to `runs`, make it the device's own, and say so with the errors before and after."""
        prior, device_type = self.service.judge.predictor, type_of(device)
        correction = calibrate(prior, device_type, runs)
        before = self._standing_percent(device, runs)
        after = held_out_error_percent(prior, device_type, runs)
        self.corrections.add(
            device["id"],
            correction,
            runs,
            origin=origin,
            simulated=is_simulated(device),
            before_percent=before,
            after_percent=after,
            at=at,
        )
        kept = self.corrections.current(device["id"])
        assert kept is not None
        facts = {"correction": kept.id, "origin": origin, "runs": len(runs), "simulated": kept.simulated}
        self.tell(device["id"], kept_sentence(kept), at, who, **facts, before_percent=before, after_percent=after)
        return kept

    def require_better_than_none(self, device: Row, runs: Sequence[Run]) -> None:
        """Raise ConflictError when a correction by `runs` errs more on a run left out than none does."""
        prior, device_type = self.service.judge.predictor, type_of(device)
        without = prior_error_percent(prior, device_type, runs)
        held_out = held_out_error_percent(prior, device_type, runs)
        if without is not None and held_out is not None and held_out > without:
            raise ConflictError(
                f"corrected by these {len(runs)} runs, predictions would err by {held_out:.1f} % on a run left out, "
                f"without a correction by {without:.1f} %: nothing was changed",
                code="no_better",
                hint="measure more models, or models more like each other: --models A,B",
            )

    def undo(self, device_id: str, who: str, at: float) -> tuple[Kept, Kept | None]:
        """Take a device's correction back; return it and the one that is used again, if there is one.

        Raises NotFoundError, ConflictError when the device has no correction.
        """
        self.service.known_device(device_id)
        undone = self.corrections.current(device_id)
        if undone is None:
            raise ConflictError(f"{device_id} has no correction to take back", hint="nothing to undo")
        with self.service.store.transaction():
            now = self.corrections.undo(device_id, at)
            then = f"correction {now.id} is used again" if now else "predictions are those for its board again"
            self.tell(device_id, f"correction {undone.id} of {device_id} taken back; {then}", at, who)
        return undone, now

    def by_rows(self, device_id: str, rows: Sequence[tuple[Run, str]], who: str, at: float) -> Kept:
        """Calibrate a device by `rows` measured elsewhere on it, each with the source of its energy.

        Raises NotFoundError, InvalidError when too few rows were measured by a meter, or several meters measured them,
        ConflictError when they would make its predictions worse.
        """
        device = self.service.known_device(device_id)
        simulated = is_simulated(device)
        runs = [run for run, source in rows if (source == SIMULATED if simulated else source in MEASURED)]
        if len(runs) < FEWEST_RUNS:
            wanted = SIMULATED if simulated else ", ".join(sorted(MEASURED))
            raise InvalidError(
                f"{len(runs)} of {len(rows)} rows can be used, {FEWEST_RUNS} are needed",
                hint=f"only measured energy counts: source must be {wanted}",
                field="rows",
            )
        meters = sorted({source for _, source in rows if source in MEASURED})
        if len(meters) > 1 and not simulated:
            raise InvalidError(
                f"the rows come from {len(meters)} meters: {', '.join(meters)}",
                hint="a rail on the board and a meter at the wall see different energies: give the rows of one",
                field="rows",
            )
        with self.service.store.transaction():
            told = self._telling(device, runs)
            self.require_better_than_none(device, told)
            return self.keep(device, told, "csv", at, who=who)

    def tell(self, device_id: str, text: str, at: float, who: str = "controller", **facts: Any) -> None:
        """Make `text` an event about a device's calibration."""
        self.service.store.add_event(at, "calibration", text, who=who, device_id=device_id, facts=facts)

    def _telling(self, device: Row, runs: Sequence[Run]) -> list[Run]:
        told = telling(self.service.judge.predictor, type_of(device), [run.features for run in runs], FEWEST_RUNS)
        return [run for run, tells in zip(runs, told, strict=True) if tells]

    def _standing_percent(self, device: Row, runs: Sequence[Run]) -> float | None:
        """Return the error on `runs` of what speaks for the device now: its correction, else the other boards."""
        prior, champion = self.service.judge.predictor, self.corrections.current(device["id"])
        if champion is None:
            return prior_error_percent(prior, type_of(device), runs)
        return correction_error_percent(prior, champion.correction, runs)

    def _runs(self, entries: Sequence[Entry]) -> list[Run]:
        """Return the newest run of each model as it is in the catalogue, all from the source of the newest one."""
        newest: dict[str, Run] = {}
        for entry in entries:
            if entry.model in newest or entry.source != entries[0].source or len(newest) >= MOST_RUNS:
                continue
            try:
                model = self.service.judge.model(entry.model)
            except EdgeWattError:
                continue  # no longer in the catalogue
            if entry.artifact_sha256 in model.digests | {None}:
                newest[entry.model] = Run(model.features, entry.actual_mj)
        return list(newest.values())


def kept_sentence(kept: Kept) -> str:
    """Return what a new correction means, with its errors."""
    how = {
        "calibration": "calibrated by its own benchmarks",
        "csv": "calibrated by figures from a file",
        "fleet": "recalibrated from its own deployments",
    }[kept.origin]
    mark = ", simulated" if kept.simulated else ""
    was, now = (f"{p:.1f} %" if p is not None else "unknown" for p in (kept.before_percent, kept.after_percent))
    return f"{kept.device_id} {how}: error {was} before, {now} on held-out runs after ({len(kept.runs)} runs{mark})"


def type_of(device: Row) -> str:
    """Return what a device says it is."""
    return (device["info"] or {}).get("device_type") or "unknown"


def is_simulated(device: Row) -> bool:
    """Return whether a device says that it is simulated."""
    return bool((device["info"] or {}).get("simulated"))
