"""Keeps who is online: by what devices say of it, and by hearing them although they were said to be away."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from broker.link import Packet
from broker.messages import Status, Telemetry
from controller.deployment import Deployment
from controller.fleet import GRACE_S
from controller.looking import passed
from controller.service import COMMAND_TTL_S, Service
from controller.sleep import absence, asleep_until
from controller.storage.store import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """Writes presence, tells of its changes, and sends what waited for who comes; call it inside a transaction."""

    service: Service

    def on_status(self, device_id: str, status: Status, packet: Packet, at: float) -> bool:
        """Take in what a device or its Will says; return False for the late Will of an older session."""
        store = self.service.store
        before = store.device(device_id) or {}
        known = before.get("session") in (None, status.session)
        if not (status.online or known or _left_later(before, status)):
            return False
        changed = before.get("online") != int(status.online) or before.get("session") != status.session
        columns: dict[str, Any] = {"status": json.loads(packet.payload), "online": int(status.online)}
        if status.online or not known:
            columns["session"] = status.session
        if changed or columns["status"] != before.get("status"):  # a fleet says it all again after our restart
            self._put(device_id, before, columns, at, changed=changed)
        if status.online and not changed and not packet.retain:
            self.service.outbox.wake(device_id, at)  # it connected anew: what was sent meanwhile is lost
        return True

    def on_readings(self, newest: Mapping[str, tuple[Telemetry, float]]) -> None:
        """Believe that a device is there whose live readings go on after it was said to be away: its word was lost."""
        for device_id in self.service.store.away().intersection(newest):
            before, (sample, at) = self.service.store.device(device_id), newest[device_id]
            if before is None or at - (before["status_at"] or 0.0) < GRACE_S:
                continue
            said = {"online": True, "session": sample.session, "ts": sample.ts}
            interval_s = (before["status"] or {}).get("interval_s")
            status = said if interval_s is None else {**said, "interval_s": interval_s}
            columns = {"status": status, "online": 1, "session": sample.session}
            self._put(before["id"], before, columns, at, changed=True)

    def _put(self, device_id: str, before: Row, columns: dict[str, Any], at: float, *, changed: bool) -> None:
        columns["status_at"] = at if changed else before.get("status_at")
        if changed:
            open_ = self._pass_time(self.service.deployments.open_on(device_id), before, at)
        self.service.store.put_device(device_id, **columns)
        if not changed:
            return
        self._pass_time(open_, {**before, **columns}, at)
        self._tell(device_id, before | columns, at)
        self.service.lifecycle.news.of(device_id, at if columns["online"] else at + GRACE_S)
        if columns["online"]:
            self.service.outbox.wake(device_id, at)

    def _pass_time(self, deployments: list[Deployment], device: Row, at: float) -> list[Deployment]:
        """Let the time until now pass as the presence of a device was, or begin to pass as it is."""
        tick = passed(device if "online" in device else None, at)
        return [self.service.lifecycle.apply(each, tick, at) for each in deployments]

    def _tell(self, device_id: str, device: Row, at: float) -> None:
        """Say that a device came, left or sleeps; what waits for one that sleeps waits until after its waking."""
        status, wake_at = device["status"], asleep_until(device, at)
        if wake_at is not None:
            self.service.outbox.hold(device_id, wake_at + COMMAND_TTL_S)
        away = absence(device, at) if wake_at else f"offline ({status.get('reason') or 'no reason given'})"
        text = f"{device_id} {'online' if device['online'] else away}"
        facts = {"session": status["session"], "reason": status.get("reason"), "wake_at": wake_at}
        self.service.store.add_event(at, "presence", text, who=device_id, device_id=device_id, facts=facts)


def _left_later(before: Row, status: Status) -> bool:
    """Return whether a device left by itself in a session that we did not hear begin; a late Will says `lost`."""
    known_ts = (before.get("status") or {}).get("ts") or 0.0
    return status.reason in ("sleep", "shutdown") and (status.ts or 0.0) > known_ts
