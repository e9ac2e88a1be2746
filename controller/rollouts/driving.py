"""Carries one rollout a bit further, within one transaction: hears, starts, watches, withdraws, rolls back."""

import json
from dataclasses import dataclass
from typing import Any, Final

from broker.errors import EdgeWattError, StorageError
from broker.phases import TERMINAL as ENDED
from broker.phases import Phase
from controller.deployment import CancelAsked, Deployment
from controller.patience import DEADLINE_S
from controller.resolving import said
from controller.rollouts import evidence
from controller.rollouts.drafting import Drafting, runs
from controller.rollouts.events import Changed, Effect, Event, Joined, Open, RollBack, Started, Watch, Watched, Withdraw
from controller.rollouts.guards import breach
from controller.rollouts.records import News, Participants
from controller.rollouts.request import Request
from controller.rollouts.rollout import joinable, may_begin, step
from controller.rollouts.standing import BAD, NEXT_STANDING, UNDERWAY, Standing, of_deployment
from controller.rollouts.state import Rollout, RolloutPhase, happened
from controller.service import Service, Wish
from controller.storage.database import EVERY
from controller.storage.store import Row

S = Standing
KIND: Final = "rollout"
HEARD_AT_ONCE, ORDERED_AT_ONCE, WATCHED_AT_ONCE, AWAY_AT_ONCE = 250, 100, 500, 25
"""What one tick does at most, so that a large fleet does not hold up its messages."""


@dataclass(slots=True, kw_only=True)
class Drive:
    """One rollout in the hands of one tick or of one person; what it becomes is in `rollout`, and has to be kept."""

    service: Service
    drafting: Drafting
    participants: Participants
    news: News
    rollout: Rollout
    request: Request
    at: float
    who: str = "controller"

    def see(self, event: Event) -> None:
        """Let `event` happen to the rollout, and do what follows."""
        before = self.rollout
        self.rollout, effects = step(before, event, self.at)
        self._tell(before)
        for effect in effects:
            self._do(effect)
        if self.rollout.terminal and not before.terminal:
            self.participants.rest(self.rollout.id)
            self.news.forget(self.rollout.id)

    def hear(self) -> None:
        """Look at the devices to which something happened."""
        for device_id in self.news.take(self.rollout.id, self.at, HEARD_AT_ONCE):
            part = self.participants.get(self.rollout.id, device_id)
            device = self.service.store.device(device_id)
            if part is None:
                self._join(device)
            elif S(part["standing"]) in (S.ROLLING_BACK, S.ROLLBACK_AWAY):
                self._place(part, S.ROLLING_BACK if device and device["online"] else S.ROLLBACK_AWAY)
            elif part["deployment_id"] is not None:
                self._hear_deployment(part, device)

    def start_away(self, most: int) -> int:
        """Queue the deployment of devices that are away and whose turn has come; return how many."""
        return self._start(most, online=False)

    def start(self, most: int) -> int:
        """Let devices that can be reached begin, as many as may; return how many did."""
        return self._start(most, online=True)

    def watch(self, after: int) -> int:
        """Look at some devices of the wave that is watched; return where the next look begins."""
        index, rules = self.rollout.wave, self.rollout.rules
        place, seen = evidence.soaked(
            self.service.store, self.rollout.id, self.rollout.model, index, after=after, limit=WATCHED_AT_ONCE
        )
        for device_id, each in seen:
            broken = breach(rules.guards, each, final=False)
            part = self.participants.get(self.rollout.id, device_id) if broken else None
            if broken and part:
                self._place(part, S.BREACHED, code=broken.code, reason=broken.reason, **evidence.after_columns(each))
        return place

    def roll_back(self) -> None:
        """Order the rollbacks that are due, and hear those that have ended."""
        for part in self.participants.answered(self.rollout.id, HEARD_AT_ONCE):
            well = part["ended"] == Phase.SUCCEEDED
            error = (json.loads(part["ack"]) if part["ack"] else {}).get("error") or {}
            told: dict[str, Any] = {
                "code": error.get("code") or part["ended"],
                "reason": error.get("msg") or part["ended"],
            }
            self._place(part, S.ROLLED_BACK if well else S.ROLLBACK_FAILED, **({} if well else told))
        for part in self.participants.standing(self.rollout.id, [S.TO_ROLL_BACK], ORDERED_AT_ONCE):
            self._order_rollback(part)

    def again(self) -> int:
        """Let devices that failed wait for another turn, in the wave at work or the next; return how many."""
        failed = self.participants.standing(self.rollout.id, [S.FAILED])
        for part in failed:
            self.participants.to_wave(self.rollout.id, part["device_id"], self.rollout.wave)
            self._place(part, S.WAITING, to_wave=self.rollout.wave, deployment_id=None, code=None, stage=None)
        return len(failed)

    def _start(self, most: int, *, online: bool) -> int:
        if not may_begin(self.rollout) or most <= 0:
            return 0
        index = self.rollout.wave
        found = self.participants.next(self.rollout.id, index, online=online, limit=most)
        for begun, part in enumerate(found):
            if not may_begin(self.rollout) or self.rollout.wave != index:
                return begun
            if online and self.at < self.rollout.paced_until:
                return begun
            self._begin(part)
        return len(found)

    def _begin(self, part: Row) -> None:
        device = self.service.store.device(part["device_id"])
        if device is None:
            self._place(part, S.WITHDRAWN, code="forgotten", reason="the device is forgotten")
            return
        try:
            offered = self.service.judge.offer(device, self.service.judge.model(self.rollout.model))
            if runs(device, offered):
                self._place(part, S.ALREADY, reason="it runs this very file")
                return
            with self.service.store.savepoint():
                deployment = self.service.deploy(self._wish(device["id"]), self.at)
        except StorageError:
            raise
        except EdgeWattError as error:
            self._place(part, S.FAILED, code=error.code, reason=said(error))
            return
        standing = of_deployment(deployment.phase, reachable=bool(device["online"]))
        columns = evidence.before_columns(device) | evidence.predicted_columns(deployment)
        self._place(part, standing, deployment_id=deployment.id, **_why(deployment), **columns)
        if standing in UNDERWAY:
            self.see(Started(download_bytes=_download_bytes(deployment, device)))

    def _hear_deployment(self, part: Row, device: Row | None) -> None:
        deployment = self.service.deployments.get(part["deployment_id"])
        if deployment is None:
            self._place(part, S.WITHDRAWN, code="forgotten", reason="its deployment is forgotten")
            return
        waits = deployment.phase is Phase.WAITING
        standing = of_deployment(deployment.phase, reachable=bool(device and device["online"]), waits=waits)
        columns: dict[str, Any] = _why(deployment)
        if standing is S.DONE:
            simulated = bool(device and (device["info"] or {}).get("simulated"))
            seen = evidence.of_result(deployment.result or {}, simulated=simulated)
            columns |= evidence.after_columns(seen)
            broken = breach(self.rollout.rules.guards, seen)
            if broken:
                standing, columns = S.BREACHED, columns | {"code": broken.code, "reason": broken.reason}
            if self.rollout.phase is RolloutPhase.ROLLING_BACK:
                standing = S.TO_ROLL_BACK
        if standing is S.FAILED:
            columns["stage"] = evidence.last_step(self.service.store, deployment)
        self._place(part, standing, **columns)

    def _place(self, part: Row, standing: Standing, *, to_wave: int | None = None, **columns: Any) -> None:
        """Let a device stand somewhere else, in its row and in the rollout's counts."""
        before = S(part["standing"])
        if self.rollout.terminal:
            return
        if standing in NEXT_STANDING[before]:
            self.participants.put(self.rollout.id, part["device_id"], standing, self.at, **columns)
            why = f"{part['device_id']}: {columns.get('reason') or 'no reason given'}" if standing in BAD else ""
            if standing is S.BREACHED:
                text = f"{part['device_id']} broke a limit of its rollout: {columns['reason']}"
                facts = {"rollout_id": self.rollout.id, "code": columns["code"]}
                self._event(text, facts, part["device_id"])
            self.see(Changed(wave=part["wave"], before=before, after=standing, to_wave=to_wave, why=why))
        elif standing is before and any(part[name] != value for name, value in columns.items()):
            self.participants.put(self.rollout.id, part["device_id"], standing, part["since"], **columns)

    def _join(self, device: Row | None) -> None:
        """Let a new device enter the last wave that it may, if it is meant and fits."""
        waves = joinable(self.rollout)
        if device is None or not waves or not device["approved"]:
            return
        if not self.request.selection.matches(device["id"], device["info"] or {}):
            return
        found = self.drafting.candidate(device, self.request)
        if found.standing is S.WAITING:
            row = (found.device_id, found.device_type, waves[-1], S.WAITING.value, 0, self.at, None, None)
            self.participants.add(self.rollout.id, [row])
            self.see(Joined(wave=waves[-1]))

    def _do(self, effect: Effect) -> None:
        match effect:
            case Open(wave=wave):
                self._exchange(wave)
            case Watch(wave=wave):
                self._watch_to_the_end(wave)
            case Withdraw():
                self._withdraw(effect)
            case RollBack():
                self.participants.move_all(self.rollout.id, [S.DONE, S.BREACHED], S.TO_ROLL_BACK, self.at)

    def _exchange(self, wave: int) -> None:
        """Let devices that can be reached change places with those of `wave` that cannot go on."""
        if self.rollout.rules.by_name or wave + 1 == len(self.rollout.waves):
            return
        stuck = self.participants.waiting(self.rollout.id, wave, online=False, limit=EVERY)
        idle = [S.AWAY, S.REFUSED, S.WITHDRAWN]
        stuck += [part for part in self.participants.standing(self.rollout.id, idle) if part["wave"] == wave]
        if not stuck:
            return
        ready = self.participants.waiting(self.rollout.id, wave, online=True, limit=len(stuck), later=True)
        for part, other in zip(stuck, ready, strict=False):
            for each, to_wave in ((part, other["wave"]), (other, wave)):
                standing = S(each["standing"])
                self.participants.to_wave(self.rollout.id, each["device_id"], to_wave)
                self.see(Changed(wave=each["wave"], before=standing, after=standing, to_wave=to_wave))

    def _watch_to_the_end(self, wave: int) -> None:
        rollout = self.rollout
        _, seen = evidence.soaked(self.service.store, rollout.id, rollout.model, wave)
        for device_id, each in seen:
            part = self.participants.get(rollout.id, device_id)
            if part is None or part["standing"] != S.DONE:
                continue
            broken = breach(rollout.rules.guards, each)
            columns = evidence.after_columns(each) if each.energy_mj is not None else {}
            told: dict[str, Any] = {"code": broken.code, "reason": broken.reason} if broken else {}
            self._place(part, S.BREACHED if broken else S.DONE, **columns, **told)
        self.see(Watched(wave=wave))

    def _withdraw(self, effect: Withdraw) -> None:
        open_ = [S.FETCHING, S.PROVING, S.AWAY]
        for part in self.participants.standing(self.rollout.id, open_):
            deployment = self.service.deployments.get(part["deployment_id"] or "")
            if deployment is not None and deployment.phase not in ENDED:
                why = CancelAsked(reason=f"its rollout ended: {effect.reason}")
                self.service.lifecycle.apply(deployment, why, self.at, KIND)
        gone = [S.WAITING] if effect.awaited else [S.WAITING, *open_]
        self.participants.move_all(self.rollout.id, gone, S.WITHDRAWN, self.at, effect.reason)

    def _order_rollback(self, part: Row) -> None:
        device = self.service.store.device(part["device_id"])
        deployment = self.service.deployments.get(part["deployment_id"])
        active = ((device or {}).get("state") or {}).get("active") or {}
        if device is None or deployment is None:
            self._place(part, S.WITHDRAWN, code="forgotten", reason="the device is forgotten")
            return
        if active.get("deployment_id") not in (None, deployment.command_id):
            self._place(part, S.WITHDRAWN, code="superseded", reason=f"it runs {active.get('model')} by now")
            return
        self.service.lifecycle.clear(deployment, self.at)
        command_id = self.service.order(device["id"], "rollback", {}, KIND, self.at, ttl_s=DEADLINE_S)
        standing = S.ROLLING_BACK if device["online"] else S.ROLLBACK_AWAY
        self._place(part, standing, command_id=command_id)

    def _wish(self, device_id: str) -> Wish:
        terms = self.request.terms
        return Wish(
            device_id=device_id,
            model=self.request.model,
            origin=self.rollout.who,
            budget_mj=terms.budget_mj,
            policy=terms.policy,
            force=terms.force,
            reason=terms.reason,
            latency_ms=terms.latency_ms,
            when=terms.when,
            soak_s=terms.soak_s,
            rollout_id=self.rollout.id,
        )

    def _tell(self, before: Rollout) -> None:
        for text, facts in happened(before, self.rollout):
            self._event(text, facts)

    def _event(self, text: str, facts: dict[str, Any], device_id: str | None = None) -> None:
        self.service.store.add_event(self.at, KIND, text, who=self.who, device_id=device_id, facts=facts)


def _why(deployment: Deployment) -> dict[str, Any]:
    return {"code": deployment.code, "reason": deployment.reason}


def _download_bytes(deployment: Deployment, device: Row) -> int:
    """Return what a device has to fetch: nothing when it kept the file from before, unknown while it is made."""
    kept = ((device["state"] or {}).get("previous") or {}).get("artifact_sha256")
    return 0 if deployment.artifact is None or deployment.artifact.sha256 == kept else deployment.artifact.size
