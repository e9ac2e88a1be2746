"""The audited stream: what kinds of events there are, who causes them, and how events are looked for; pure."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from broker.errors import InvalidError
from broker.phases import TERMINAL, Phase

Kind = Literal[
    "deployment",
    "rollout",
    "command",
    "device",
    "presence",
    "governor",
    "log",
    "model",
    "storage",
    "job",
    "calibration",
    "predictor",
    "drift",
    "alert",
    "controller",
    "archive",
    "access",
    "balena",
]
KINDS: tuple[Kind, ...] = get_args(Kind)

SAYS: dict[Kind, str] = {
    "deployment": "a deployment entered a phase, or somebody asked for its end",
    "rollout": "a rollout began, moved on, paused or ended",
    "command": "an order to a device, typed ones too, and how it ended",
    "device": "a device registered or says something else of itself; it was approved or forgotten",
    "presence": "a device came, left, sleeps, or did not wake",
    "governor": "a device changed its model or rate by itself, to save power or heat",
    "log": "a line of a device's own log; the newest thousand of each device",
    "model": "a model file was taken in; a version was promoted, so that a name means it",
    "storage": "a model was archived or brought back, or left the store to make room; old telemetry went",
    "job": "the workshop was asked for a model, began, and ended",
    "calibration": "a device is calibrated, has another correction, or its correction was taken back",
    "predictor": "another predictor answers",
    "drift": "a model costs a device more than when it was deployed, or no more",
    "alert": "an alert began, ended, lost its data or was seen; a silence or a rule was made, changed or removed",
    "controller": "the controller began, with which settings, or ended; its broker came and went",
    "archive": "events were moved into an archive file, or the time of such a file is over",
    "access": "a token was made or revoked, a device enrolled, was invited or revoked, or a sign-in failed",
    "balena": "a release was pinned on a board or a fleet at balena",
}

CAUSES: dict[str, str] = {
    "cli": "a person at the command line",
    "dashboard": "a person in the dashboard",
    "rest": "a program over REST",
    "mqtt": "a person who typed on the bus",
    "controller": "the controller itself",
    "workshop": "the part of the controller that makes models",
    "calibration": "a calibration that somebody began",
    "deployment": "a deployment that needs a model made",
    "rollout": "a rollout that somebody began",
    "device": "a device; `who` is its id",
}

REFUSALS = ("malformed", "oversize", "unsupported", "bad_topic", "bad_id", "unknown_device", "value_refused")
"""Why a message is refused; other counts are of messages that were odd, and taken."""

TOLD = frozenset({Phase.REQUESTED, Phase.ROLLING_BACK, *TERMINAL})
"""Phases that a person would tell of a deployment: how it began and how it ended."""

TextIn = Callable[[str, str], str]
"""Returns SQL for a text in the document in a column, as the database at hand writes it."""

_SEARCHED = ("text", "who", "device_id", "kind", "phase", "deployment_id")
_HAS_WORD = " OR ".join(f"lower({column}) LIKE lower(?) ESCAPE '^'" for column in _SEARCHED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """Which events are looked for; what is left out matches all. `since` (Unix s) is included, `until` is not.

    `rollout_id` means what was said of a rollout itself, of its deployments, and its orders to devices to go back.
    `who` is one of `CAUSES` or a device's id; every word of `words` has to occur, case aside; `milestones` leaves out
    log lines and what happens between the beginning and the end of a deployment.
    """

    kind: str = ""
    device_id: str = ""
    deployment_id: str = ""
    rollout_id: str = ""
    who: str = ""
    since: float | None = None
    until: float | None = None
    words: str = ""
    milestones: bool = False

    def __post_init__(self) -> None:
        """Refuse a kind that no event has."""
        if self.kind and self.kind not in KINDS:
            raise InvalidError(f"no event is a '{self.kind[:40]}'", hint=f"one of {', '.join(KINDS)}", field="type")

    def where(self, text_in: TextIn) -> tuple[str, list[Any]]:
        """Return what that is in SQL over the table of events, and its arguments."""
        given = {"kind": self.kind, "device_id": self.device_id, "deployment_id": self.deployment_id}
        terms: list[tuple[str, list[Any]]] = [(f"{name} = ?", [value]) for name, value in given.items() if value]
        if self.rollout_id:
            terms.append((_of_rollout(text_in), [self.rollout_id] * 4))
        if self.who:
            terms.append(("who = device_id", []) if self.who == "device" else ("who = ?", [self.who]))
        if self.since is not None:
            terms.append(("at >= ?", [self.since]))
        if self.until is not None:
            terms.append(("at < ?", [self.until]))
        terms += [(f"({_HAS_WORD})", [_within(word)] * len(_SEARCHED)) for word in self.words.split()]
        if self.milestones:
            marks = ", ".join("?" * len(TOLD))
            terms.append((f"kind != 'log' AND (phase IS NULL OR phase IN ({marks}))", sorted(TOLD)))
        return " AND ".join(sql for sql, _ in terms) or "true", [value for _, values in terms for value in values]


def _of_rollout(text_in: TextIn) -> str:
    """Return in SQL which events are of a rollout; a device that tried again has several deployments of it."""
    return (
        f"((kind IN ('rollout', 'alert') AND {text_in('facts', 'rollout_id')} = ?) OR deployment_id IN ("  # noqa: S608 - our own words
        "SELECT d.id FROM rollout_devices AS p JOIN rollouts AS r ON r.id = p.rollout_id JOIN deployments AS d "
        "ON d.device_id = p.device_id AND d.created_at >= r.created_at "
        f"WHERE p.rollout_id = ? AND {text_in('d.document', 'rollout_id')} = ?) OR (kind = 'command' "
        f"AND {text_in('facts', 'command_id')} IN (SELECT command_id FROM rollout_devices WHERE rollout_id = ?)))"
    )


def _within(word: str) -> str:
    """Return the pattern of what has `word` in it."""
    for wild in "^%_":
        word = word.replace(wild, f"^{wild}")
    return f"%{word}%"


def event_document(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return one event as REST, exports and archives show it."""
    known = {name: row[name] for name in ("id", "at", "who", "device_id", "deployment_id", "phase", "text")}
    facts = row["facts"] or {}
    return known | {"type": row["kind"], "reason": facts.get("reason"), "facts": facts}


def event_line(row: Mapping[str, Any]) -> bytes:
    """Return one event as a line of JSON."""
    return json.dumps(event_document(row), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
