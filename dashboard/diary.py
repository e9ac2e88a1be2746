"""The log stream as rows. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup

from dashboard import words
from dashboard.markup import join, link, moment, phase_tone, pill, table, tag

Document = dict[str, Any]

TONES = {"error": "bad", "warning": "warn"}


def told(entry: Document) -> Document:
    """Return one entry with the names this page uses; `ts` is Unix seconds, whichever way it was written."""
    at = next((entry[key] for key in ("ts", "at", "timestamp", "created_at") if entry.get(key) is not None), None)
    return {
        "ts": _seconds(at),
        "type": str(entry.get("type") or entry.get("kind") or entry.get("event") or ""),
        "phase": str(entry.get("phase") or ""),
        "level": str(entry.get("level") or (entry.get("facts") or {}).get("level") or _level(entry.get("phase"))),
        "device_id": str(entry.get("device_id") or ""),
        "deployment_id": str(entry.get("deployment_id") or ""),
        "origin": str(entry.get("origin") or entry.get("who") or ""),
        "message": _message(entry),
    }


def rows(entries: Sequence[Document], now: float) -> Markup:
    """Return the stream as a table, newest first as given."""
    return table(["When", "Kind", "Device", "What", "By"], [_row(each, now) for each in entries])


def refusals(messages: Sequence[Document], now: float) -> Markup:
    """Return messages that the controller refused as a table, newest first as given."""
    rows_ = (
        [
            tag("span", moment(_seconds(each.get("at")), now), of="nowrap"),
            tag("code", words.short(str(each.get("topic") or ""), 60)),
            words.short(str(each.get("error") or each.get("code") or ""), 160),
            tag("code", words.short(str(each.get("payload") or ""), 80)),
        ]
        for each in messages
    )
    return table(["When", "Topic", "Why", "What it said"], rows_)


def around(ts: float | None) -> str:
    """Return a time as the Events page takes it: what happened around then."""
    return "" if ts is None else datetime.fromtimestamp(ts, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _row(entry: Document, now: float) -> list[Markup | str]:
    tone = TONES.get(entry["level"], "mute")
    device, made = entry["device_id"], entry["deployment_id"]
    watch = join([" ", link("watch", "deployments", of="ew-go", id=made)]) if made else ""
    return [
        link(moment(entry["ts"], now), "events", of="nowrap", title="what else happened then", at=around(entry["ts"])),
        pill(words.phase(entry["type"] or entry["level"]), tone, entry["level"]),
        link(words.short(device), "device", id=device, title=device) if device else words.NOTHING,
        join([words.short(entry["message"], 240), tag("small", watch)]),
        entry["origin"] or words.NOTHING,
    ]


def _message(entry: Document) -> str:
    text = str(next((entry[key] for key in ("text", "message", "msg") if entry.get(key)), ""))
    reason = str(entry.get("reason") or "")
    return f"{text}: {reason}" if text and reason and reason not in text else text or reason


def _level(phase: str | None) -> str:
    return {"bad": "error", "warn": "warning"}.get(phase_tone(phase or ""), "info")


def _seconds(at: Any) -> float | None:
    if isinstance(at, int | float):
        return float(at)
    if isinstance(at, str):
        try:
            moment_ = datetime.fromisoformat(at)
        except ValueError:
            return None
        return (moment_ if moment_.tzinfo else moment_.replace(tzinfo=UTC)).timestamp()
    return None
