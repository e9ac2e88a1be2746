"""What the gate said about each device, as HTML and as the commands that would do the same."""

import json
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from markupsafe import Markup

from dashboard import views, words
from dashboard.api import Reading
from dashboard.markup import gauge, join, mark, pill, tag, verdict

Document = dict[str, Any]

DOTS = 200
"""The most devices that the line of present values shows as dots of their own."""

TONES = {
    "fits": "good",
    "tight": "warn",
    "over": "bad",
    "unknown": "odd",
    "no_budget": "mute",
    "forced": "warn",
    "unrunnable": "bad",
    "barred": "bad",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One device and what the gate said; `sentence` comes from the gate, word for word."""

    device_id: str
    allowed: bool
    verdict: str
    sentence: str
    document: Document

    @property
    def overridable(self) -> bool:
        """Whether a person with a reason may deploy all the same."""
        return not self.allowed and self.verdict in {"over", "tight", "unknown"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitting:
    """A model that would fit on every refused device; `high_mj` is the worst of their upper ends."""

    model: str
    high_mj: float
    top1_pct: float | None
    loss_points: float | None = None


def judged(device_id: str, reading: Reading) -> Judged:
    """Return the gate's answer about a device, or why there is none."""
    found = reading.get("verdict")
    if not found:
        said = reading.problem.message if reading.problem else "the gate did not answer"
        return Judged(device_id=device_id, allowed=False, verdict="no answer", sentence=said, document={})
    return Judged(
        device_id=device_id,
        allowed=bool(found.get("allowed")),
        verdict=str(found.get("verdict") or ""),
        sentence=str(found.get("sentence") or found.get("reason") or ""),
        document=found,
    )


def fitting(refused: Sequence[Judged]) -> list[Fitting]:
    """Return the models that would fit on all refused devices, most accurate first."""
    if not refused:
        return []
    offers = [{each["model"]: each for each in judge.document.get("would_fit") or []} for judge in refused]
    common = set(offers[0]).intersection(*offers[1:])
    found = [
        Fitting(
            model=name,
            high_mj=max(offer[name].get("high_mj") or offer[name]["energy_mj"] for offer in offers),
            top1_pct=offers[0][name].get("top1_pct"),
            loss_points=offers[0][name].get("accuracy_loss_points"),
        )
        for name in common
    ]
    return sorted(found, key=lambda each: (-(each.top1_pct or 0), each.high_mj))


def rows(judges: Iterable[Judged]) -> Markup:
    """Return one line per device: verdict, reason, and the figures on one line against the budget."""
    return tag("div", join(_row(each) for each in judges), of="ew-verdicts")


def by_board(plan: Document) -> list[Judged]:
    """Return what the gate says of each board, as a plan has it, in place of one answer for each device."""
    return [
        Judged(
            device_id=f"{each['device_type']}: {words.count(each['devices'], 'device')}",
            allowed=each["allowed"],
            verdict=each["verdict"] or "",
            sentence=each["reason"] or _costs(each),
            document=each,
        )
        for each in plan.get("boards", [])
    ]


def present(devices: Iterable[Document], budget_mj: float | None, latency_ms: float | None) -> Markup:
    """Return what the chosen devices spend and take now, as dots on a line with the budget as a tick."""
    found = list(devices)
    spent = [value for value, _ in map(views.energy, found) if value is not None]
    took = [p95 for p95 in map(_p95, found) if p95 is not None]
    lines = [_spread("energy", spent, "mJ", budget_mj), _spread("latency p95", took, "ms", latency_ms)]
    return tag("div", join(lines), of="ew-present")


def model_facts(model: Document) -> Markup:
    """Return what is known of a model in one line; an untrained one, and one that is not stored, says so first."""
    top1 = model.get("top1_pct")
    trained = pill("trained", "good") if model.get("trained") else pill("untrained: its answers mean nothing", "warn")
    if not model.get("stored", True):
        trained = pill("not stored: it is made first", "mute", model.get("source") or "")
    said = [
        _scaled(model.get("size_mb"), 1e6, "B"),
        _scaled(model.get("gmacs"), 1e9, " MACs"),
        _scaled(model.get("params_m"), 1e6, " parameters"),
        "top-1 unknown" if top1 is None else f"top-1 {words.amount(top1, '%')}",
        model.get("format") or "",
        f"licence {model['licence']}" if model.get("licence") else "",
    ]
    text = " · ".join(each for each in said if each and each != words.NOTHING)
    return tag("div", join([trained, tag("span", text)]), of="ew-strip")


def cli_line(
    model: str,
    device_ids: Sequence[str],
    budget_mj: float | None,
    policy: str,
    reason: str = "",
    *,
    flags: Sequence[str] = (),
    plan: str = "",
) -> str:
    """Return the command that would do the same; `flags` are those of its terms, `plan` its waves."""
    parts = ["edgewatt", "deploy", model]
    for device_id in device_ids:
        parts += ["--to", device_id]
    parts += ["--energy-mj", f"{budget_mj:g}"] if budget_mj is not None else []
    parts += ["--expected"] if budget_mj is not None and policy == "expected" else []
    parts += flags
    parts += ["--plan", plan] if plan else []
    parts += ["--force", "--reason", reason] if reason else []
    return shlex.join(parts)


def mqtt_lines(
    model: str, device_ids: Sequence[str], budget_mj: float | None, broker_url: str, *, terms: Document | None = None
) -> str:
    """Return one `mosquitto_pub` per device: the request by name that a person can type, with its `terms`."""
    at = urlsplit(broker_url or "mqtt://127.0.0.1:1883")
    command: Document = {"op": "deploy", "model": model}
    if budget_mj is not None:
        command["max_energy_mj"] = budget_mj
    command |= terms or {}
    where = ["-h", at.hostname or "127.0.0.1", "-p", str(at.port or 1883)]
    said = json.dumps(command, separators=(",", ":"))
    return "\n".join(
        shlex.join(["mosquitto_pub", *where, "-q", "1", "-t", f"device/{device_id}/cmd", "-m", said])
        for device_id in device_ids
    )


def _scaled(value: float | None, unit_size: float, unit: str) -> str:
    shown, prefix = words.scaled(None if value is None else value * unit_size)
    return words.amount(shown, f"{prefix}{unit}")


def _costs(board: Document) -> str:
    """Say what a board is predicted to pay, where the gate gives no reason against it."""
    cost = words.interval(board.get("low_mj"), board.get("high_mj"))
    return f"predicted {cost} per inference" if cost != words.NOTHING else words.amount(board.get("energy_mj"), "mJ")


def _p95(device: Document) -> float | None:
    found: float | None = ((device.get("latest") or {}).get("latency_ms") or {}).get("p95")
    return found


def _spread(name: str, values: Sequence[float], unit: str, limit: float | None) -> Markup:
    if not values:
        return tag("span", tag("small", f"{name} now: none of them reports any"))
    full = max([*values, *([limit] if limit is not None else [])]) * 1.08 or 1.0
    dots = [tag("i", of="dot", style=f"left:{value / full:.1%}") for value in sorted(values)[:DOTS]]
    dots += [tag("i", of="tick", style=f"left:{limit / full:.1%}")] if limit is not None else []
    low, high = min(values), max(values)
    over = sum(value > limit for value in values) if limit is not None else 0
    above = f", {over} of {len(values)} above the budget" if over else ""
    said = f"{name} now: {words.figure(low)}–{words.figure(high)} {unit}{above}"
    return tag("span", join([tag("small", said), tag("span", join(dots), of="ew-gauge", title=said)]))


def _row(judge: Judged) -> Markup:
    found = judge.document
    kind: words.Kind | None = words.kind_of(found.get("source")) if found.get("basis") == "measurement" else "predicted"
    line = gauge(
        found.get("energy_mj"),
        found.get("low_mj"),
        found.get("high_mj"),
        found.get("budget_mj"),
        kind or "",
    )
    figures = tag("small", join([words.amount(found.get("energy_mj"), "mJ"), mark(kind)])) if found else ""
    parts = [tag("b", judge.device_id), tag("span", verdict(judge.verdict)), tag("p", judge.sentence)]
    parts.append(tag("div", join([line, figures])))
    return tag("div", join(parts), of=f"ew-verdict {TONES.get(judge.verdict, 'mute')}")
