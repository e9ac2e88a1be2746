"""Rollouts as tables; pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from controller.cli.console import Table
from controller.cli.figures import ABSENT, ago, clock, interval, mj, number, text

Document = Mapping[str, Any]
NAMED = 3
_LATE = ("succeeded", "failed", "rolled_back", "rejected", "timed_out", "cancelled", "superseded")
_OVER = ("done", "breached", "failed", "already", "refused", "withdrawn", "rolled_back", "rollback_failed")


def plan(found: Document) -> list[Table]:
    """Return what a rollout would do: the gate's answer by board, the waves, and who is left out."""
    boards = [
        (
            board["device_type"],
            str(board["devices"]),
            _figure_of(board),
            mj(board["budget_mj"]),
            board["verdict"] if board["code"] != "not_approved" else "refused",
            _note(board),
        )
        for board in found["boards"]
    ]
    waves = [
        (str(wave["wave"] + 1), str(wave["devices"]), str(wave["away"]), _names(wave["ids"], wave["devices"]))
        for wave in found["waves"]
    ]
    tables = [Table(columns=("board", "devices", "predicted", "budget", "verdict", "note"), rows=boards)]
    if waves:
        tables.append(Table(columns=("wave", "devices", "away now", "which"), rows=waves, title="waves"))
    if found["already_count"]:
        had = _names(found["already"], found["already_count"])
        tables.append(Table(columns=("already have it", "which"), rows=[(str(found["already_count"]), had)]))
    return tables


def rollouts(found: Iterable[Document]) -> Table:
    """Return one row per rollout."""
    columns = ("rollout", "model", "phase", "since", "wave", "devices", "outcome", "by", "reason")
    return Table(columns=columns, rows=[_row(each) for each in found])


def rollout(found: Document) -> list[Table]:
    """Return one rollout and its waves."""
    facts = [
        ("rollout", found["id"]),
        ("model", found["model"]),
        ("phase", f"{found['phase']} {ago(found['since'])}"),
        ("outcome", found["outcome"]),
        ("reason", text(found["reason"])),
        ("just now", text(found.get("holds"))),
        ("asked by", f"{found['who']} {ago(found['created_at'])}"),
        ("ends at the latest", clock(found["deadline_at"])),
    ]
    rows = [
        (f"{each['wave']}", each["phase"], ago(each["since"]), str(each["size"]), _counts(each["counts"]))
        for each in found["waves"]
    ]
    waves = Table(columns=("wave", "phase", "since", "devices", "of which"), rows=rows, title="waves")
    return [Table(columns=("what", "value"), rows=facts), waves]


def whole(found: Document) -> list[Table]:
    """Return a rollout with a page of its devices, who is waited for, and what it costs before and after."""
    shown = found["rollout"]
    tables = rollout(shown)
    devices = [_device(each) for each in found["devices"]]
    columns = ("device", "wave", "standing", "since", "before", "predicted", "after", "stage", "reason")
    tables.append(Table(columns=columns, rows=devices, title=f"devices ({len(devices)} of {found['total']})"))
    away = [(each["device_id"], text(each["why"]), ago(each["last_seen_at"])) for each in shown["waiting_for"]]
    if away:
        tables.append(Table(columns=("device", "why", "last seen"), rows=away, title="waiting for"))
    figures = [_figure(each) for each in shown["figures"]]
    if figures:
        named = ("board", "when", "devices", "energy", "source", "latency p95", "predicted", "within it")
        tables.append(Table(columns=named, rows=figures, title="before and after, means"))
    events = [(clock(each["at"]), text(each["who"]), each["text"]) for each in shown["events"]]
    return [*tables, Table(columns=("at", "by", "what"), rows=events, title="what happened")]


def share(found: Document) -> float:
    """Return how much of a rollout is over, 0 to 1."""
    over = sum(found["counts"].get(name, 0) for name in _OVER)
    return 1.0 if found["terminal"] else over / max(1, found["size"])


def sentence(found: Document) -> str:
    """Return how a rollout stands, in one line."""
    wave = f", wave {found['wave']} of {len(found['waves'])}" if not found["terminal"] and found["waves"] else ""
    told = found["reason"] or found.get("holds")
    why = f" ({told})" if told and not found["terminal"] else ""
    return f"{found['phase'].replace('_', ' ')}{wave}: {found['outcome']}{why}"


def _row(found: Document) -> tuple[str, ...]:
    waves = len(found["waves"])
    return (
        found["id"],
        found["model"],
        found["phase"],
        ago(found["since"]),
        f"{found['wave']}/{waves}" if waves else ABSENT,
        str(found["size"]),
        found["outcome"],
        found["who"],
        text(found["reason"] if found["reason"] != found["outcome"] else None),
    )


def _device(each: Document) -> tuple[str, ...]:
    predicted, before, after = each["predicted"], each["before"], each["after"]
    return (
        each["device_id"],
        text(each["wave"]),
        _standing(each),
        ago(each["since"]),
        _spent(before),
        interval(predicted["low_mj"], predicted["high_mj"]),
        _spent(after),
        text(each["stage"]),
        text(each["reason"]),
    )


def _standing(each: Document) -> str:
    """Return where a device stands, and what became since of a deployment that nobody waited for."""
    late = each["standing"] == "away" and each.get("deployment_phase") in _LATE
    return f"away, {each['deployment_phase']} since" if late else str(each["standing"])


def _figure(each: Document) -> tuple[str, ...]:
    predicted = each.get("predicted") or {}
    inside = f"{each['inside_prediction'] or 0} of {each['devices']}" if "inside_prediction" in each else ABSENT
    return (
        each["device_type"],
        each["when"],
        str(each["devices"]),
        mj(each["energy_mj"]),
        each["source"],
        number(each["latency_p95_ms"], "ms"),
        interval(predicted.get("low_mj"), predicted.get("high_mj")),
        inside if predicted.get("high_mj") is not None else ABSENT,
    )


def _spent(figures: Document) -> str:
    return ABSENT if figures["mj"] is None else f"{mj(figures['mj'])} ({figures['source']})"


def _figure_of(board: Document) -> str:
    figure = interval(board["low_mj"], board["high_mj"])
    return f"{figure} ({board['source']})" if board["basis"] == "measurement" else figure


def _note(board: Document) -> str:
    if board["allowed"]:
        return "already have it" if board["reason"] and not board["code"] else ""
    if board["code"] != "over_budget":
        return text(board["reason"])
    would = ", ".join(f"{each['model']} ({mj(each['energy_mj'])})" for each in board["would_fit"][:NAMED])
    return f"would fit: {would}" if would else "no model in the catalogue would fit"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items()) or ABSENT


def _names(ids: list[str], total: int) -> str:
    shown = ids[:NAMED]
    return ", ".join(shown) + (f" and {total - len(shown)} more" if total > len(shown) else "")
