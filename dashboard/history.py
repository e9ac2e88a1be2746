"""A device's past as chart frames and lists: buckets, marks, answers, messages. Pure."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from dashboard import words

Document = dict[str, Any]

RANGES = {"15min": 15, "1h": 60, "6h": 360, "24h": 1_440, "7d": 10_080, "30d": 43_200}
"""What the range picker offers, minutes."""
POINTS = 240
"""Buckets per chart."""

FIELDS = {
    "p50": "latency_p50_ms",
    "p95": "latency_p95_ms",
    "energy": "energy_mj",
    "cpu": "cpu_usage_percent",
    "ram": "ram_usage_percent",
    "ram_mb": "ram_usage_mb",
    "heat": "temperature_c",
}
_ORDER = ("telemetry", "ack", "cmd", "state", "desired", "log", "status", "info")
_GAP = 2.5
"""How many buckets without a sample break the line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One answer of the running model; `right` is None for a sample without a label."""

    label: str
    truth: str | None
    confidence: float | None
    ts: float | None

    @property
    def right(self) -> bool | None:
        """Whether the answer is the truth, where the truth is known."""
        return None if self.truth is None else self.truth == self.label


def frame(series: Sequence[Document], bucket_s: float) -> pd.DataFrame:
    """Return one row per bucket with mean, low and high of each field; an empty row breaks the line at each gap."""
    rows: list[dict[str, Any]] = []
    for bucket in series:
        if rows and bucket["ts"] - rows[-1]["ts"] > _GAP * bucket_s:
            rows.append({"ts": (rows[-1]["ts"] + bucket["ts"]) / 2})
        row: dict[str, Any] = {"ts": bucket["ts"], "source": bucket.get("energy_source"), "model": bucket.get("model")}
        for name, field in FIELDS.items():
            spread = bucket.get(field) or {}
            row |= {name: spread.get("mean"), f"{name}_low": spread.get("min"), f"{name}_high": spread.get("max")}
        rows.append(row)
    columns = ["ts", "source", "model", *(f"{name}{end}" for name in FIELDS for end in ("", "_low", "_high"))]
    table = pd.DataFrame(rows, columns=columns)
    for name in columns[3:]:
        table[name] = pd.to_numeric(table[name])
    table["at"] = pd.to_datetime(table["ts"], unit="s", utc=True)
    return table


def marks(deployments: Iterable[Document]) -> pd.DataFrame:
    """Return one row per deployment within the range: when, what and how it ended."""
    rows = [
        {"ts": each.get("ts"), "what": f"{each.get('model')}: {words.phase(each.get('phase'))}"} for each in deployments
    ]
    table = pd.DataFrame(rows, columns=["ts", "what"])
    table["at"] = pd.to_datetime(table["ts"], unit="s", utc=True)
    return table


def course(series: Iterable[Document], field: str) -> list[float | None]:
    """Return the means of one field, oldest first."""
    return [(bucket.get(field) or {}).get("mean") for bucket in series]


def answers(messages: Mapping[str, Sequence[Document]]) -> list[Said]:
    """Return the answers among the last telemetry messages, newest first; a damaged payload has none."""
    found = []
    for message in messages.get("telemetry", []):
        for sample in _samples(message.get("payload")):
            answer = sample.get("answer")
            if isinstance(answer, dict) and answer.get("label") is not None:
                found.append(_said(answer, sample.get("ts")))
    return sorted(found, key=lambda said: -(said.ts or 0))


def newest_first(messages: Mapping[str, Sequence[Document]]) -> dict[str, list[Document]]:
    """Return the messages by topic suffix, those that change most first, each newest first."""
    suffixes = sorted(messages, key=lambda suffix: (_ORDER.index(suffix) if suffix in _ORDER else len(_ORDER), suffix))
    return {suffix: sorted(messages[suffix], key=lambda each: -(each.get("at") or 0)) for suffix in suffixes}


def decoded(payload: Any) -> Any:
    """Return a payload as JSON, or None when it is not."""
    if not isinstance(payload, str | bytes):
        return payload
    try:
        return json.loads(payload)
    except ValueError:
        return None


def gist(topic: str, payload: Any) -> str:
    """Say in a line what a message holds."""
    document = decoded(payload)
    if not isinstance(document, dict):
        return words.short(str(payload), 80)
    if "batch" in document:
        return f"{len(document['batch'])} samples taken while it was away"
    if topic.endswith("telemetry"):
        parts = [f"CPU {words.amount(document.get('cpu_usage_percent'), '%')}"]
        parts.append(f"p95 {words.amount((document.get('latency_ms') or {}).get('p95'), 'ms')}")
        energy = document.get("energy") or {}
        parts.append(
            f"{words.amount(energy.get('energy_mj'), 'mJ')} {words.kind_of(energy.get('source')) or ''}".strip()
        )
        return " · ".join(part for part in parts if words.NOTHING not in part)
    keys = ("op", "state", "phase", "online", "model", "reason", "msg", "device_type", "gen")
    told = [f"{words.phase(key)} {_word(document[key])}" for key in keys if document.get(key) not in (None, "")]
    return words.short(" · ".join(told) or ", ".join(document), 100)


def _word(value: Any) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _samples(payload: Any) -> list[Document]:
    document = decoded(payload)
    if not isinstance(document, dict):
        return []
    batch = document.get("batch") or [document]
    return [sample for sample in batch if isinstance(sample, dict)]


def _said(answer: Document, ts: float | None) -> Said:
    truth = answer.get("truth")
    return Said(
        label=str(answer["label"]),
        truth=None if truth is None else str(truth),
        confidence=answer.get("confidence"),
        ts=ts,
    )
