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
    "peak": "latency_max_ms",
    "cpu": "cpu_usage_percent",
    "ram": "ram_usage_percent",
    "heat": "temperature_c",
    "disk": "storage_usage_mb",
    "soc": "soc_pct",
}
POWERED = {"energy": "energy_mj", "power": "power_mw"}
"""What a meter, a model or a simulation says: never averaged across those."""

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
    by_time: dict[float, list[Document]] = {}
    for bucket in series:
        by_time.setdefault(bucket["ts"], []).append(bucket)
    rows: list[dict[str, Any]] = [
        {"ts": ts, "throttled": any(each.get("throttled") for each in found), "charging": _charging(found)}
        | {key: value for name, field in FIELDS.items() for key, value in _spread(name, field, found).items()}
        for ts, found in sorted(by_time.items())
    ]
    return _table(_broken(rows, bucket_s), FIELDS, ["throttled", "charging"])


def energies(series: Sequence[Document], bucket_s: float) -> pd.DataFrame:
    """Return energy and power as `frame` does, with `kind` (measured, modelled, simulated) and `source` of each row."""
    by_source: dict[str, list[dict[str, Any]]] = {}
    for bucket in series:
        source = bucket.get("energy_source")
        if source is None:
            continue
        row = {"ts": bucket["ts"], "source": source, "kind": words.kind_of(source)}
        for name, field in POWERED.items():
            row |= _spread(name, field, [bucket])
        by_source.setdefault(source, []).append(row)
    rows = [
        row | {"source": source, "kind": words.kind_of(source)}
        for source, found in by_source.items()
        for row in _broken(found, bucket_s)
    ]
    return _table(rows, POWERED, ["source", "kind"])


def throttled(table: pd.DataFrame, bucket_s: float) -> pd.DataFrame:
    """Return the times `from` and `to` within which the board slowed itself down, of what `frame` returned."""
    return _spans(table.loc[table["throttled"].eq(other=True), "ts"], bucket_s)


def charging(table: pd.DataFrame, bucket_s: float) -> pd.DataFrame:
    """Return the times `from` and `to` within which the battery charged, at least in part."""
    return _spans(table.loc[pd.to_numeric(table["charging"]).gt(0), "ts"], bucket_s)


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


def _spread(name: str, field: str, buckets: Sequence[Document]) -> dict[str, float | None]:
    """Return mean, low and high of a field over parts of one bucket; the mean by how many samples each part has."""
    known = [(each[field], each.get("samples") or 1) for each in buckets if each.get(field)]
    if not known:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    weight = sum(samples for _, samples in known)
    mean = sum(spread["mean"] * samples for spread, samples in known) / weight
    low, high = min(spread["min"] for spread, _ in known), max(spread["max"] for spread, _ in known)
    return {name: mean, f"{name}_low": low, f"{name}_high": high}


def _charging(buckets: Sequence[Document]) -> float | None:
    """Return in which share of 1 of the samples the battery charged, over parts of one bucket."""
    known = [(each["charging_share"], each["samples"]) for each in buckets if each.get("charging_share") is not None]
    return sum(share * samples for share, samples in known) / sum(each for _, each in known) if known else None


def _spans(times: Iterable[float], bucket_s: float) -> pd.DataFrame:
    """Return the buckets that begin at `times` as times `from` and `to`: neighbours are one."""
    spans: list[list[float]] = []
    for ts in times:
        if spans and ts - spans[-1][1] <= _GAP * bucket_s:
            spans[-1][1] = ts + bucket_s
        else:
            spans.append([ts, ts + bucket_s])
    found = pd.DataFrame(spans, columns=["from", "to"], dtype=float)
    return found.apply(lambda column: pd.to_datetime(column, unit="s", utc=True))


def _broken(rows: Iterable[dict[str, Any]], bucket_s: float) -> list[dict[str, Any]]:
    """Return `rows` with one that has no figures between two that are far apart."""
    found: list[dict[str, Any]] = []
    for row in rows:
        if found and row["ts"] - found[-1]["ts"] > _GAP * bucket_s:
            found.append({"ts": (found[-1]["ts"] + row["ts"]) / 2})
        found.append(row)
    return found


def _table(rows: list[dict[str, Any]], fields: Iterable[str], more: list[str]) -> pd.DataFrame:
    figures = [f"{name}{end}" for name in fields for end in ("", "_low", "_high")]
    table = pd.DataFrame(rows, columns=["ts", *more, *figures])
    for name in figures:
        table[name] = pd.to_numeric(table[name])
    table["at"] = pd.to_datetime(table["ts"], unit="s", utc=True)
    return table


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
