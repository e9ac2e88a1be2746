"""Moves deployments: runs the pure machine, and writes what follows from it in the same transaction."""

import itertools
import time
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from broker.commands import Budget, Command, Desired, PredictedEnergy, Probe
from broker.phases import DEVICE_OWNED, TERMINAL, Phase
from broker.topics import CMD, DESIRED
from broker.wire import MOST_TEXT_CHARACTERS
from controller.access.urls import Urls
from controller.deployment import (
    Clear,
    Deployment,
    Event,
    Heard,
    Offer,
    Withdraw,
    step,
)
from controller.feedback.bookkeeping import Bookkeeping
from controller.outbox import Outbox
from controller.patience import DEADLINE_S
from controller.records import Commands, Deployments, Measurements
from controller.rollouts.records import News
from controller.storage.store import Store

_numbers = itertools.count()


def new_id(prefix: str, at: float) -> str:
    """Return an id that sorts by time and is unique within this process and second."""
    stamp = time.strftime("%Y%m%d_%H%M%S", time.gmtime(at))
    return f"{prefix}_{stamp}_{time.monotonic_ns() & 0xFFFFFF:06x}{next(_numbers) & 0xFF:02x}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifecycle:
    """The one place where a deployment changes."""

    store: Store
    deployments: Deployments
    measurements: Measurements
    outbox: Outbox
    probe: Probe
    soak_s: float
    bookkeeping: Bookkeeping
    news: News
    urls: Urls

    def add(self, deployment: Deployment, who: str) -> None:
        """Store a new deployment."""
        self.deployments.put(deployment)
        self._tell(deployment, who)

    def apply(self, before: Deployment, event: Event, at: float, who: str = "controller") -> Deployment:
        """Advance `before` by `event`, with all its consequences, in one transaction; return what it became."""
        after, effects = step(before, event, at)
        if after == before:
            return before
        with self.store.transaction():
            self.deployments.put(after)
            if after.phase is not before.phase or (after.phase is Phase.WAITING and after.code != before.code):
                self._tell(after, who)
                if after.rollout_id is not None:
                    self.news.of(after.device_id, at)
            if after.phase in DEVICE_OWNED | TERMINAL:
                self.outbox.heard(after.device_id, after.command_id)
            if isinstance(event, Heard) and after.terminal and after.result:
                self._learn(after, after.result, at)
            for effect in effects:
                match effect:
                    case Offer():
                        self._offer(after, at)
                    case Withdraw():
                        self._withdraw(after, effect, at)
                    case Clear():
                        self.clear(after, at)
        return after

    def _learn(self, ended: Deployment, result: dict[str, Any], at: float) -> None:
        sha256 = ended.artifact.sha256 if ended.artifact else None
        self.measurements.put(ended.device_id, ended.model, sha256, result, at)
        self.bookkeeping.on_deployment(ended, at)
        if ended.phase is Phase.SUCCEEDED and result.get("already_present"):
            self.store.count({"already_on_device": 1})

    def tell_asked(self, deployment: Deployment, what: str, who: str, at: float) -> None:
        """Say that a deployment was asked for something that its device has yet to do."""
        d = deployment
        text = f"{d.model} on {d.device_id}: asked {what}"
        told = {"device_id": d.device_id, "deployment_id": d.id, "phase": d.phase.value}
        self.store.add_event(at, "deployment", text, who=who, facts={"reason": f"asked {what}"}, **told)

    def want(self, command: Command, device_id: str, at: float) -> None:
        """Make `command` what the device converges to, without sending it as a command."""
        self._put_desired(device_id, Desired(gen=command.gen or 0, deploy=command), at)

    def clear(self, deployment: Deployment, at: float) -> None:
        """Let `deployment` no longer be what its device converges to; a later one stays."""
        device = self.store.device(deployment.device_id)
        wanted = ((device or {}).get("desired") or {}).get("deploy") or {}
        if wanted.get("id") == deployment.command_id:
            self._put_desired(deployment.device_id, Desired(gen=wanted.get("gen") or 0), at)

    def say_desired(self, device_id: str, wanted: dict[str, Any], at: float, *, again: bool) -> None:
        """Say what a device converges to if that has to be `again`, or has another address of its file by now."""
        desired = msgspec.convert(wanted, Desired)
        fetchable = self._fetchable(desired, device_id, at)
        if fetchable != desired:
            self._put_desired(device_id, fetchable, at)
        elif again:
            self._say_desired(device_id, desired, at)

    def next_gen(self, device_id: str) -> int:
        """Return a generation above everything this device has heard of."""
        device = self.store.device(device_id) or {}
        reported = (device.get("state") or {}).get("gen") or 0
        return max(reported, device.get("gen") or 0) + 1

    def complete(self, deployment: Deployment, at: float) -> Command:
        """Return the command that a device can carry out without asking anyone."""
        command = complete_command(deployment, at, probe=self.probe, soak_s=self.soak_s)
        return self.fetchable(command, deployment.device_id, at)

    def fetchable(self, command: Command, device_id: str, at: float) -> Command:
        """Return `command` with an address of its file that lasts long enough; to a device it is the same command."""
        if command.artifact is None:
            return command
        fresh = self.urls.fresh(command.artifact, device_id, at)
        return command if fresh is command.artifact else replace(command, artifact=fresh)

    def _fetchable(self, desired: Desired, device_id: str, at: float) -> Desired:
        if desired.deploy is None:
            return desired
        deploy = self.fetchable(desired.deploy, device_id, at)
        return desired if deploy is desired.deploy else replace(desired, deploy=deploy)

    def offer_again(self, deployment: Deployment, at: float) -> None:
        """Send `deployment` as it is now in place of what was sent before."""
        self.outbox.heard(deployment.device_id, deployment.command_id)
        self._offer(deployment, at)

    def _offer(self, deployment: Deployment, at: float) -> None:
        command = self.complete(deployment, at)
        self.want(command, deployment.device_id, at)
        self.outbox.put(
            device_id=deployment.device_id,
            command_id=deployment.command_id,
            topic=CMD.topic(deployment.device_id),
            payload=CMD.encode(command),
            at=at,
        )

    def _withdraw(self, deployment: Deployment, effect: Withdraw, at: float) -> None:
        cancel_id = new_id("cancel", at)
        Commands(self.store).add(cancel_id, deployment.device_id, "cancel", "controller", at)
        command = Command(
            op="cancel",
            id=cancel_id,
            ts=at,
            target=deployment.command_id,
            code=effect.code,
            reason=effect.reason[:MOST_TEXT_CHARACTERS],
        )
        self.outbox.put(
            device_id=deployment.device_id,
            command_id=cancel_id,
            topic=CMD.topic(deployment.device_id),
            payload=CMD.encode(command),
            at=at,
            expires_at=at + DEADLINE_S,
        )

    def _put_desired(self, device_id: str, desired: Desired, at: float) -> None:
        self.store.put_device(device_id, desired=desired, gen=desired.gen)
        self._say_desired(device_id, desired, at)

    def _say_desired(self, device_id: str, desired: Desired, at: float) -> None:
        self.outbox.put(
            device_id=device_id,
            command_id=f"desired:{device_id}",
            topic=DESIRED.topic(device_id),
            payload=DESIRED.encode(desired),
            at=at,
            retain=True,
        )

    def _tell(self, deployment: Deployment, who: str) -> None:
        d = deployment
        facts: dict[str, Any] = {"model": d.model, "attempt": d.attempt, "seq": d.seq, "code": d.code}
        reason = d.reason
        if d.phase is Phase.REQUESTED:
            reason = f"the gate may be overridden: {d.forced_reason}" if d.forced_reason else reason
            facts |= {"origin": d.origin, "budget_mj": d.budget_mj, "forced_reason": d.forced_reason}
            facts |= {"latency_ms": d.latency_ms, "when": d.when, "soak_s": d.soak_s}
        if d.terminal:
            facts["result"] = d.result
        text = f"{d.model} on {d.device_id}: {d.phase.value.replace('_', ' ')}" + (f" ({reason})" if reason else "")
        self.store.add_event(
            d.since,
            "deployment",
            text,
            who=who,
            device_id=d.device_id,
            deployment_id=d.id,
            phase=d.phase.value,
            facts={"reason": reason} | facts,
        )


def complete_command(deployment: Deployment, at: float, *, probe: Probe, soak_s: float) -> Command:
    """Return the command that a device can carry out without asking anyone."""
    predicted = deployment.predicted or {}
    known = {name: predicted.get(name) for name in ("energy_mj", "low_mj", "high_mj", "predictor", "support")}
    return Command(
        op="deploy",
        id=deployment.command_id,
        gen=deployment.gen,
        ts=at,
        ttl_s=DEADLINE_S,
        model=deployment.model,
        artifact=deployment.artifact,
        predict=PredictedEnergy(**known),
        budget=Budget(energy_mj=deployment.budget_mj, latency_ms=deployment.latency_ms),
        when=deployment.when,
        probe=probe,
        soak_s=soak_s if deployment.soak_s is None else deployment.soak_s,
    )
