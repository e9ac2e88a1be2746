"""What balena's answers say, in our words and units; pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from broker.errors import UnreachableError

Row = dict[str, Any]


def rows(answer: Any) -> list[Row]:
    """Return the things in the envelope `{"d": […]}`. Raises UnreachableError (`balena_answer`) where there is none."""
    found = answer.get("d") if isinstance(answer, Mapping) else None
    if not isinstance(found, list) or not all(isinstance(each, Mapping) for each in found):
        raise strange("has no list under 'd'")
    return found


def strange(how: str) -> UnreachableError:
    """Return the error of an answer that balena would not give."""
    hint = "is balena_api_url the address of balena's API?"
    return UnreachableError(f"what answered for balena {how}", code="balena_answer", hint=hint)


def device_document(row: Mapping[str, Any]) -> Row:
    """Return a device; `last_seen_at` (Unix s) is when its connection last changed."""
    of_fleet, of_type = _one(row.get("belongs_to__application")), _one(row.get("is_of__device_type"))
    return {
        "uuid": str(row.get("uuid") or ""),
        "name": row.get("device_name"),
        "fleet": (of_fleet or {}).get("slug"),
        "device_type": (of_type or {}).get("slug"),
        "online": row.get("is_online"),
        "status": row.get("overall_status") or row.get("status"),
        "undervolted": row.get("is_undervolted"),
        "temperature_c": row.get("cpu_temp"),
        "last_seen_at": _seconds(row.get("last_connectivity_event")),
        "ip": row.get("ip_address") or None,
        "os": row.get("os_version"),
        "supervisor": row.get("supervisor_version"),
        "runs": _release(row.get("is_running__release")),
        "should_run": _release(row.get("should_be_running__release")),
        "pinned": _release(row.get("is_pinned_on__release")),
    }


def release_document(row: Mapping[str, Any]) -> Row:
    """Return a release; `name` is its version, or the start of its commit."""
    fleet = _one(row.get("belongs_to__application"))
    return {
        **_named(row),
        "fleet": (fleet or {}).get("slug"),
        "status": row.get("status"),
        "invalidated": bool(row.get("is_invalidated")),
        "created_at": _seconds(row.get("created_at")),
    }


def fleet_document(row: Mapping[str, Any]) -> Row:
    """Return a fleet, with the release that its devices should run unless they are pinned themselves."""
    return {
        "slug": row.get("slug"),
        "name": row.get("app_name"),
        "tracks_latest": row.get("should_track_latest_release"),
        "should_run": _release(row.get("should_be_running__release")),
    }


def line_documents(answer: Any) -> list[Row]:
    """Return log lines, oldest first. Raises UnreachableError (`balena_answer`) for what is no list of them."""
    if not isinstance(answer, list) or not all(isinstance(each, Mapping) for each in answer):
        raise strange("gave no list of log lines")
    found = [_line(each) for each in answer]
    return sorted(found, key=lambda each: each["at"] or 0.0)


def _line(row: Mapping[str, Any]) -> Row:
    when = row.get("timestamp") or row.get("createdAt")
    return {
        "at": when / 1_000 if isinstance(when, (int, float)) else _seconds(when),
        "text": str(row.get("message") or ""),
        "system": bool(row.get("isSystem")),
        "stderr": bool(row.get("isStdErr")),
        "service_id": row.get("serviceId"),
    }


def _one(relation: Any) -> Mapping[str, Any] | None:
    """Return what an expanded relation leads to."""
    first = relation[0] if isinstance(relation, Sequence) and relation else None
    return first if isinstance(first, Mapping) else None


def _release(relation: Any) -> Row | None:
    found = _one(relation)
    return _named(found) if found else None


def _named(row: Mapping[str, Any]) -> Row:
    commit = str(row.get("commit") or "")
    return {"id": row.get("id"), "name": row.get("raw_version") or commit[:7] or None, "commit": commit or None}


def _seconds(time: Any) -> float | None:
    try:
        return datetime.fromisoformat(time).timestamp()
    except (TypeError, ValueError):
        return None
