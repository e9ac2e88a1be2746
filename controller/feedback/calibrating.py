"""Carries calibrations out: orders the benchmarks one after another, and has the correction fitted to them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from broker.commands import Command
from broker.energy import MEASURED
from broker.errors import ConflictError, EdgeWattError, NotFoundError
from broker.phases import TERMINAL, Phase
from broker.topics import CMD
from controller.feedback.bookkeeping import entry_of
from controller.feedback.calibration import (
    FEWEST_RUNS,
    Calibration,
    Item,
    Seen,
    advance,
    asking,
    ending,
    next_model,
    skipping,
)
from controller.feedback.contest import telling
from controller.feedback.corrections import Calibrations
from controller.feedback.learning import Learning, is_simulated, type_of
from controller.feedback.subjects import Subjects
from controller.lifecycle import new_id
from controller.predict.calibrate import Run, choose_runs
from controller.resolving import said
from controller.service import COMMAND_TTL_S, Service
from controller.sleep import absence
from controller.storage.store import Row

_ENDED = frozenset(phase.value for phase in TERMINAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrating:
    """The edge of the calibration workflow; touches no socket."""

    service: Service
    learning: Learning
    calibrations: Calibrations
    subjects: Subjects

    def begin(self, device_id: str, wanted: Sequence[str], who: str, at: float) -> Calibration:
        """Begin to calibrate a device for the models `wanted`, the whole catalogue when empty.

        Raises NotFoundError (device, model), ConflictError (not approved, at work already, no power meter).
        """
        device = self.service.known_device(device_id)
        self._require_able(device)
        judge = self.service.judge
        runnable = self.subjects.of(device)
        told = telling(judge.predictor, type_of(device), [m.features for m in runnable], FEWEST_RUNS)
        candidates = [model for model, tells in zip(runnable, told, strict=True) if tells]
        targets = [judge.model(name).features for name in wanted] or [model.features for model in candidates]
        names = choose_runs(candidates, targets, judge.predictor, type_of(device))
        calibration = Calibration(
            id=new_id("calibrate", at),
            device_id=device_id,
            who=who,
            created_at=at,
            since=at,
            items=tuple(Item(model=name) for name in names),
        )
        with self.service.store.transaction():
            self.calibrations.put(calibration)
            self.learning.tell(device_id, f"calibration of {device_id} begun: {', '.join(names)}", at, who)
        return calibration

    def tick(self, at: float) -> None:
        """Move every open calibration, and let devices learn from what was entered since; inside a transaction."""
        moving = self.calibrations.open()
        for before in moving:
            after = self._moved(before, at)
            if after != before:
                self.calibrations.put(after)
                self._tell_change(before, after, at)
        for device_id in self.service.bookkeeping.taken():
            device = self.service.store.device(device_id)
            if device is not None and device_id not in {calibration.device_id for calibration in moving}:
                self.learning.learn(device, at)

    def cancel(self, device_id: str, who: str, at: float) -> Calibration:
        """End the open calibration of a device. Raises NotFoundError, ConflictError when none is open."""
        self.service.known_device(device_id)
        calibration = self.calibrations.newest(device_id)
        if calibration is None or calibration.ended:
            raise ConflictError(f"{device_id} is not being calibrated", hint=f"edgewatt devices calibrate {device_id}")
        with self.service.store.transaction():
            if calibration.asked is not None and calibration.asked.command_id:
                self._withdraw(device_id, calibration.asked.command_id, at)
            after = ending(calibration, "cancelled", f"cancelled by {who}", at)
            self.calibrations.put(after)
            self._tell_change(calibration, after, at)
        return after

    def _moved(self, before: Calibration, at: float) -> Calibration:
        device = self.service.store.device(before.device_id)
        if device is None:
            return ending(before, "cancelled", "the device is forgotten", at)
        after, todo = advance(before, self._seen(before, device, at), at)
        if todo == "ask":
            return self._asked(after, at)
        return self._fitted(after, device, at) if todo == "fit" else after

    def _asked(self, before: Calibration, at: float) -> Calibration:
        name, device = next_model(before), self.service.known_device(before.device_id)
        try:
            if self.subjects.making(name, device) is not None:
                return before
            command_id = self.service.measure(before.device_id, name, "calibration", at)
        except EdgeWattError as error:
            return skipping(before, said(error))
        return asking(before, command_id, at)

    def _fitted(self, before: Calibration, device: Row, at: float) -> Calibration:
        catalogue = self.service.judge.catalogue
        runs = []
        for item in before.items:
            if item.outcome == "measured" and item.energy_mj is not None:
                try:
                    runs.append(Run(catalogue.get(item.model).features, item.energy_mj))
                except NotFoundError:
                    continue  # removed from the catalogue meanwhile: what it is can no longer be told
        if len(runs) < FEWEST_RUNS:
            return ending(before, "failed", f"{len(runs)} models are left in the catalogue", at)
        try:
            self.learning.require_better_than_none(device, runs)
        except ConflictError as error:
            return ending(before, "failed", error.message, at)
        kept = self.learning.keep(device, runs, "calibration", at, who=before.who)
        return ending(
            before,
            "done",
            None,
            at,
            correction_id=kept.id,
            before_percent=kept.before_percent,
            after_percent=kept.after_percent,
        )

    def _seen(self, calibration: Calibration, device: Row, at: float) -> Seen:
        away = not device["online"]
        here = None if away else self._busy(device["id"]) or self._unmade(calibration, device)
        obstacle = f"the device {absence(device, at)}" if away else here
        item = calibration.asked
        seen = Seen(obstacle=obstacle, away=away)
        command = self.service.commands.get(item.command_id, device["id"]) if item and item.command_id else None
        if item is None or command is None or command["state"] not in _ENDED:
            return seen
        ack = command["ack"] or {}
        if command["state"] == Phase.EXPIRED.value:
            return replace(seen, lost=True)
        if command["state"] == Phase.SUCCEEDED.value:
            entry = entry_of(device, item.model, ack.get("result") or {}, {}, command["updated_at"])
            return replace(seen, answer="succeeded", result=entry)
        error: Mapping[str, Any] = ack.get("error") or {}
        return replace(seen, answer="failed", error=error.get("msg") or ack.get("reason") or command["state"])

    def _unmade(self, calibration: Calibration, device: Row) -> str | None:
        if calibration.asked is not None or not calibration.waiting:
            return None
        return self.subjects.unmade(next_model(calibration), device)

    def _busy(self, device_id: str) -> str | None:
        found = self.service.deployments.find(device_id=device_id, open_only=True, limit=1)
        return f"{found[0].model} is being deployed" if found else None

    def _require_able(self, device: Row) -> None:
        device_id, info = device["id"], device["info"] or {}
        if not device["approved"]:
            raise ConflictError(f"{device_id} waits for approval", code="not_approved", hint="approve the device first")
        running = self.calibrations.newest(device_id)
        if running is not None and not running.ended:
            raise ConflictError(
                f"{device_id} is being calibrated already: {running.measured} of {len(running.items)} models",
                hint=f"edgewatt devices calibrate {device_id} --cancel ends it",
            )
        source = (info.get("power_sensor") or {}).get("source")
        if not is_simulated(device) and source not in MEASURED:
            raise ConflictError(
                f"{device_id} has no power meter, and modelled energy calibrates nothing",
                code="no_meter",
                hint="measure it with an external meter and give the figures: --csv FILE",
            )

    def _withdraw(self, device_id: str, command_id: str, at: float) -> None:
        cancel_id = new_id("cancel", at)
        command = Command(op="cancel", id=cancel_id, ts=at, target=command_id, reason="the calibration was cancelled")
        self.service.commands.add(cancel_id, device_id, "cancel", "controller", at)
        self.service.outbox.heard(device_id, command_id)
        self.service.outbox.put(
            device_id=device_id,
            command_id=cancel_id,
            topic=CMD.topic(device_id),
            payload=CMD.encode(command),
            at=at,
            expires_at=at + COMMAND_TTL_S,
        )

    def _tell_change(self, before: Calibration, after: Calibration, at: float) -> None:
        device_id = after.device_id
        skipped = {item.model for item in before.items if item.outcome == "skipped"}
        for item in after.items:
            if item.outcome == "skipped" and item.model not in skipped:
                self.learning.tell(device_id, f"calibration of {device_id} skips {item.model}: {item.reason}", at)
        if after.state != before.state:
            why = f" ({after.reason})" if after.reason else ""
            self.learning.tell(device_id, f"calibration of {device_id} {after.state}{why}", at)
