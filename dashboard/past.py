"""The charts of one device over a range: which there are to draw, and what their marks mean."""

from typing import Any

import pandas as pd
from markupsafe import Markup

from dashboard import charts as drawn
from dashboard import history, words
from dashboard.api import Reading
from dashboard.markup import EMPTY, join, tag

Titled = tuple[str, str, drawn.Chart]


def charts(reading: Reading, predicted: dict[str, Any] | None, budget_mj: float | None) -> list[Titled]:
    """Return (title, remark, chart) of everything that was reported in the range; nothing for an empty one."""
    rows, bucket_s = reading.get("series", []), reading.get("bucket_s") or 5.0
    if not rows:
        return []
    table, spent = history.frame(rows, bucket_s), history.energies(rows, bucket_s)
    window = drawn.Window(
        since=reading.get("since") or float(table["ts"].min()),
        until=reading.get("until") or float(table["ts"].max()),
        marks=history.marks(reading.get("deployments", [])),
        throttled=history.throttled(table, bucket_s),
        charging=history.charging(table, bucket_s),
    )
    charged = "" if window.charging.empty else "; shaded, with a bar below: charging"
    found: list[Titled] = []
    if spent["energy"].notna().any():
        limits = _limits(predicted, budget_mj)
        found.append(("Energy per inference", limits, drawn.energy(spent, window, predicted, budget_mj)))
    lines = (
        ("Latency", "as reported", {"p50": "p50", "p95": "p95", "peak": "max"}, "ms", True),
        ("Temperature", "", {"heat": "temperature"}, "°C", False),
        ("CPU and memory", "in use", {"cpu": "CPU", "ram": "memory"}, "%", True),
        ("Storage used", "", {"disk": "storage"}, "MB", False),
        ("Battery", f"state of charge{charged}", {"soc": "charge"}, "%", True),
    )
    for title, aside, names, unit, zero in lines:
        told = {name: word for name, word in names.items() if table[name].notna().any()}
        if told:
            found.append((title, aside, drawn.lines(table, window, told, unit, zero=zero)))
    if _any(spent, "power"):
        found.insert(min(4, len(found)), ("Power", "of the whole board or its rail", drawn.power(spent, window)))
    return found


def legend(reading: Reading) -> Markup:
    """Return what is drawn beside the lines, and how long a bucket is."""
    parts = [f"one point is {words.span(reading.get('bucket_s') or 5.0)}: line mean, shade lowest to highest"]
    parts += ["▼ a deployment"] if reading.get("deployments") else []
    parts += ["amber: throttled"] if any(each.get("throttled") for each in reading.get("series", [])) else []
    parts += ["a gap: nothing was heard", "times in UTC"]
    return tag("div", join(tag("span", each) for each in parts), of="ew-legend") if parts else EMPTY


def _any(table: pd.DataFrame, name: str) -> bool:
    return bool(table[name].notna().any())


def _limits(predicted: dict[str, float] | None, budget_mj: float | None) -> str:
    low, high = (predicted or {}).get("low_mj"), (predicted or {}).get("high_mj")
    band = "" if low is None else f"band: predicted {words.interval(low, high)}"
    line = "" if budget_mj is None else f"line: budget {words.amount(budget_mj, 'mJ')}"
    return " · ".join(each for each in (band, line) if each)
