"""What is known of a device, in the fleet's words: health by the age of readings, drift, and its document."""

import difflib
from collections.abc import Iterable
from typing import Any

from controller.doing import governed, runs, serves
from controller.sleep import asleep_until, clock, sleeping, wakes_at

LIVE_S = 30.0
LATE_S = 300.0
GRACE_S = 5.0
"""How long an `offline` must stand before it is believed: a Will may be late."""

HEALTHS = ("live", "late", "silent", "asleep", "offline", "never_seen")

Row = dict[str, Any]


def health(device: Row, now: float) -> tuple[str, str]:
    """Return (health, reason in words) of a device's row at time `now`."""
    reading_at, status_at = device["reading_at"], device["status_at"]
    if (wake_at := asleep_until(device, now)) is not None:
        return "asleep", sleeping(wake_at, now)
    if device["online"] == 0 and status_at is not None and now - status_at >= GRACE_S:
        return "offline", _why_offline(device, now)
    if reading_at is None:
        if device["online"]:
            return "silent", "connected, no reading yet"
        return "never_seen", "never heard of since it was registered"
    age_s = now - reading_at
    if age_s < live_within_s(device):
        return "live", f"reading {_age(age_s)} old"
    if age_s < LATE_S:
        return "late", f"no reading for {_age(age_s)}"
    if device["online"]:
        return "silent", f"connected, but no reading for {_age(age_s)}"
    return "offline", f"no reading for {_age(age_s)}"


def live_within_s(device: Row) -> float:
    """Return how old the newest reading of a live device may be: a few of its intervals."""
    return float(max(LIVE_S, 3 * ((device["status"] or {}).get("interval_s") or 5.0)))


def drift(device: Row) -> str | None:
    """Return whether a device runs what it should: `in step`, `wants X, runs Y`, or None where nothing is wanted.

    `governed: runs Y while …` is a device that has what it should and runs another model to save power.
    """
    wanted, state = (device["desired"] or {}).get("deploy") or {}, device["state"] or {}
    active, running = state.get("active") or {}, runs(state)
    if wanted and active.get("artifact_sha256") != (wanted.get("artifact") or {}).get("sha256"):
        return f"wants {wanted.get('model')}, runs {running or 'nothing'}"
    if running != active.get("model"):
        return f"governed: {governed(state)}"
    return "in step" if wanted else None


def view(device: Row, now: float) -> Row:
    """Return the document of a device that lists and pages show."""
    info, state, desired = device["info"] or {}, device["state"] or {}, (device["desired"] or {}).get("deploy")
    word, reason = health(device, now)
    predicted = (desired or {}).get("predict")
    return {
        "id": device["id"],
        "health": word,
        "health_reason": reason,
        "wake_at": asleep_until(device, now),
        "approved": bool(device["approved"]),
        "registered_at": device["registered_at"],
        **{name: info.get(name) for name in ("device_type", "board", "os", "ip", "agent_version", "balena_uuid")},
        "tags": info.get("tags") or {},
        "simulated": bool(info.get("simulated")),
        "formats": info.get("formats") or [],
        "runtimes": info.get("runtimes") or [],
        "last_reading_at": device["reading_at"],
        "reading_age_s": None if device["reading_at"] is None else max(0.0, round(now - device["reading_at"], 1)),
        "status_at": device["status_at"],
        "phase": state.get("phase"),
        "active": state.get("active"),
        "runs": runs(state),
        "previous": state.get("previous"),
        "current_cmd": state.get("current_cmd"),
        "desired": desired
        and {"gen": desired.get("gen"), "model": desired.get("model"), "deployment_id": desired.get("id")},
        "drift": drift(device),
        "budget": state.get("budget"),
        "power": state.get("power"),
        "predicted": predicted,
        "latest": device["reading"],
        "serves": serves(device["reading"]),
        "governor": state.get("governor"),
        "governed": governed(state),
        "gaps": device["gaps"],
        "refused": state.get("refused") or {},
    }


def nearest(wanted: str, known: Iterable[str]) -> str:
    """Return a hint that names what was probably meant."""
    close = difflib.get_close_matches(wanted, list(known), n=3, cutoff=0.5)
    return f"did you mean {', '.join(close)}?" if close else "`edgewatt devices list` shows what is there"


def _why_offline(device: Row, now: float) -> str:
    match (device["status"] or {}).get("reason"):
        case "shutdown":
            return "stopped cleanly"
        case "sleep":
            wake_at = wakes_at(device)
            if wake_at is None:
                return "sleeps, without saying until when"
            return f"should have woken at {clock(wake_at, now)}, {_age(now - wake_at)} ago"
        case _:
            return "connection lost"


def _age(seconds: float) -> str:
    """Return a duration as a person says it."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
