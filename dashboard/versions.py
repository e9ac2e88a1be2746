"""The versions of a model as rows: files, where each runs, and what it costs beside the one before. Pure."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from dashboard import shelf, words
from dashboard.markup import EMPTY, join, moment, number, pill, table, tag

Document = dict[str, Any]

SHORT = 8
CALLED = {"energy_mj": "energy", "latency_p95_ms": "p95 latency", "memory_mb": "memory", "top1_pct": "top-1"}
UNITS = {"energy_mj": "mJ", "latency_p95_ms": "ms", "memory_mb": "MB", "top1_pct": "%"}
KINDS: Mapping[str, words.Kind] = {
    "measured": "measured",
    "modelled": "modelled",
    "simulated": "simulated",
    "predicted": "predicted",
}
TONES = {True: "good", False: "bad", None: "mute"}


def short(sha256: str) -> str:
    """Return what a version is called on screen."""
    return sha256[:SHORT]


def listing(versions: list[Document], now: float) -> Markup:
    """Return the versions as a table, in their order."""
    head = ["Version", "Files", "Size", "Came", "Origin", "Top-1", "Runs on"]
    return table(head, [_row(each, now) for each in versions], right=(2, 5, 6))


def changes(version: Document) -> Markup:
    """Return what a version costs beside the one before it as a table; nothing where nobody knows anything."""
    if not version["changes"]:
        return EMPTY
    head = ["On", "What", "Kind", "Before", "Now", "Change", "Behind it"]
    return table(head, [_change(each) for each in version["changes"]], right=(3, 4))


def choices(versions: list[Document]) -> dict[str, str]:
    """Return what can be promoted, by SHA-256, with what it is called when it is chosen."""
    open_ = [each for each in versions if not (each["promoted"] or each["archived"]) and each["formats"]]
    return {each["sha256"]: f"{short(each['sha256'])}, came {words.clock(each['created_at'])}" for each in open_}


def _row(each: Document, now: float) -> list[Markup | str]:
    marks = [pill("promoted", "good", "The bare name means it.")] if each["promoted"] else []
    marks += [pill("archived", "mute", "It is put away.")] if each["archived"] else []
    name = tag("code", short(each["sha256"]), title=each["sha256"])
    forms = [pill(form, "good") for form in each["formats"]]
    return [
        tag("span", join([name, " ", join(marks)]), of="nowrap"),
        join(forms, Markup(" ")) if forms else pill("gone", "warn", "Its file left the store to make room."),
        words.megabytes(each["size"]),
        moment(each["created_at"], now),
        words.short(each["source"] or words.NOTHING, 60),
        tag("span", number(each["top1_pct"], "%"), title=each["top1_source"] or ""),
        shelf.runs_on(Counter(each["runs"])),
    ]


def _change(each: Document) -> list[Markup | str]:
    unit, kind = UNITS[each["quantity"]], KINDS.get(each["kind"])
    old, new = ((each[name] or {}).get("value") for name in ("old", "new"))
    return [
        each["device_type"] or "the model itself",
        CALLED[each["quantity"]],
        "as told" if kind is None else each["kind"],
        number(old, unit, kind),
        number(new, unit, kind),
        pill(each["sentence"], TONES[each["better"]]),
        " → ".join(filter(None, (_behind(each["old"]), _behind(each["new"])))) or words.NOTHING,
    ]


def _behind(figure: Document | None) -> str:
    """Return how many devices and measurements are behind a figure."""
    if not figure or figure["devices"] is None:
        return ""
    return f"{words.count(figure['devices'], 'device')}, {words.count(figure['measurements'], 'measurement')}"
