"""Documents of advice as tables; pure."""

import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from controller.cli.console import Table
from controller.cli.figures import ABSENT, interval, mj, number, text

Document = Mapping[str, Any]

NAMED = 3


def pareto(found: Document, *, brief: bool = False) -> list[Table]:
    """Return the models of a board that could be compared, and those apart with the reason.

    `brief`: what is not in the store only where nothing beats it.
    """
    columns = ("model", "top-1", "energy", "95 %", "latency", "energy is", "frontier")
    rows = [_placed(each) for each in found["models"] if not brief or each["in_store"] or each["on_frontier"]]
    tables = [Table(columns=columns, rows=rows, title=found["device_type"])] if rows else []
    others = [each for each in found["apart"] if not brief or each["in_store"]]
    apart = [(each["name"], "; ".join([each["reason"], *each.get("reasons", ())])) for each in others]
    title = f"{found['device_type']}: apart"
    return [*tables, *([Table(columns=("model", "why"), rows=apart, title=title)] if apart else [])]


def explanation(found: Document) -> list[Table]:
    """Return a prediction, what it rests on, and the variants that would cost less."""
    said, features = found["prediction"], found["features"]
    facts = [
        ("model", f"{found['model']} on {found['device_type']}"),
        ("energy", f"{mj(said['energy_mj'])} ({interval(said['low_mj'], said['high_mj'])} at 95 %)"),
        ("latency", f"{number(found['latency_ms'], 'ms')} (implied by the energy)" if found["latency_ms"] else ABSENT),
        ("support", f"{said['support']}: {'; '.join(said['reasons']) or 'measured networks like it on this board'}"),
        ("predictor", f"{said['predictor']}, {said['basis']}"),
        ("advice", text(said["recommendation"])),
        ("work", f"{number(features['gmacs'] * 1e3, 'million MACs')}, {number(features['params_m'], 'M parameters')}"),
        ("measured nearby", ", ".join(f"{n['name']} ({n['gmacs'] * 1e3:.3g} M)" for n in found["nearest_measured"])),
    ]
    variants = [
        (v["name"], mj(v["energy_mj"]), mj(v["high_mj"]), _loss(v["accuracy_loss_points"])) for v in found["variants"]
    ]
    tables = [Table(columns=("what", "value"), rows=facts)]
    if variants:
        columns = ("variant (not in the store)", "energy", "up to", "accuracy lost")
        tables.append(Table(columns=columns, rows=variants, title="what would cost less"))
    return tables


def best(devices: Iterable[Document]) -> Table:
    """Return the model chosen for each device, or why there is none."""
    rows = [
        (
            each["device_id"],
            each["device_type"],
            text(each["model"]),
            number(each["top1_pct"], "%"),
            _spent(each["verdict"] or {}),
            (each["verdict"] or {"verdict": "refused"})["verdict"],
            "" if each["allowed"] else each["reason"],
        )
        for each in devices
    ]
    return Table(columns=("device", "board", "model", "top-1", "energy", "verdict", "why"), rows=rows)


def plan(found: Document) -> list[Table]:
    """Return who gets which model, the commands that would deploy it, and who is left out."""
    columns = ("device", "board", "model", "top-1", "energy", "per day")
    rows = [
        (
            each["device_id"],
            each["device_type"],
            each["model"],
            number(each["top1_pct"], "%"),
            mj(each["energy_mj"]),
            number(each["wh_per_day"], "Wh"),
        )
        for each in found["assigned"]
    ]
    tables = [Table(columns=columns, rows=rows)] if rows else []
    if rows:
        tables.append(Table(columns=("to deploy it",), rows=[(line,) for line in commands(found)], title="commands"))
    if found["left_out"]:
        out = [(each["device_id"], each["device_type"], each["reason"]) for each in found["left_out"]]
        tables.append(Table(columns=("device", "board", "why"), rows=out, title="left out"))
    return tables


def commands(found: Document) -> list[str]:
    """Return one `edgewatt deploy` per model of a plan."""
    by_model: dict[str, list[str]] = {}
    for each in found["assigned"]:
        by_model.setdefault(each["model"], []).append(each["device_id"])
    return [
        shlex.join(["edgewatt", "deploy", model, *(word for name in ids for word in ("--to", name))])
        for model, ids in by_model.items()
    ]


def batteries(found: Iterable[Document]) -> Table:
    """Return what each device's battery and sun are good for."""
    columns = ("device", "average", "battery", "of a solar day", "peak", "supply carries it", "idle is from", "notes")
    return Table(columns=columns, rows=[_battery(each) for each in found], title="battery and sun")


def _battery(each: Document) -> tuple[str, ...]:
    hours, share = each["battery_hours"], each["solar_share"]
    at_high = each["battery_hours_at_high"]
    return (
        each["device_id"],
        number(each["average_mw"], "mW"),
        ABSENT if hours is None else f"{number(hours, 'h')} (at least {number(at_high, 'h')})",
        number(None if share is None else share * 100, "%"),
        number(each["peak_mw"], "mW"),
        each["supply_carries"],
        each["idle_source"],
        "; ".join(each["notes"]),
    )


def _placed(each: Document) -> tuple[str, ...]:
    by = each["dominated_by"]
    more = f" and {len(by) - NAMED} more" if len(by) > NAMED else ""
    word = "beaten by" if each["surely"] else "probably beaten by"
    return (
        each["name"],
        number(each["top1_pct"], "%"),
        mj(each["energy_mj"]),
        interval(each["low_mj"], each["high_mj"]),
        number(each["latency_ms"], "ms"),
        each["energy_source"],
        "yes" if each["on_frontier"] else f"{word} {', '.join(by[:NAMED])}{more}",
    )


def _spent(verdict: Document) -> str:
    figure = interval(verdict.get("low_mj"), verdict.get("high_mj"))
    return f"{figure} ({verdict['source']})" if verdict.get("basis") == "measurement" else figure


def _loss(points: float | None) -> str:
    return "unknown" if points is None else f"about {points:.1f} points"
