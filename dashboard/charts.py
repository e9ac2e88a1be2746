"""Altair charts of a device's past and of what models cost; 240 points at most per line."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import altair as alt
import pandas as pd

from dashboard import style

HEIGHT = 200
DOTTED_UP_TO = 60
"""With fewer points each is a dot, too: one that stands alone would be no line."""
_DAY_S, _SHORT_S = 86_400.0, 600.0
_UTC: Any = "utcyearmonthdatehoursminutesseconds"
_LEGEND = alt.Legend(
    orient="top", title=None, symbolType="stroke", symbolOpacity=1, symbolSize=260, symbolStrokeWidth=2
)
_DASHES: dict[str, list[float]] = {"p95": [7, 2], "peak": [2, 2], "ram": [7, 2]}
KINDS: dict[str, list[float]] = {"measured": [1, 0], "modelled": [1.5, 3], "simulated": [6, 3]}
"""How a line of each kind of energy is drawn: solid, dotted, striped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What every chart of one range shares: its ends (Unix s), the deployments within it, and when it was throttled."""

    since: float
    until: float
    marks: pd.DataFrame
    throttled: pd.DataFrame

    def across(self, field: str = "at") -> alt.X:
        """Return the axis of time, over the whole range: what is missing at its ends is seen, too."""
        reach = self.until - self.since
        shape = "%d %b" if reach > _DAY_S else "%H:%M" if reach > _SHORT_S else "%H:%M:%S"
        axis = alt.Axis(labelOverlap=True, grid=False, tickCount=6, format=shape)
        scale = alt.Scale(type="utc", domain=[_instant(self.since), _instant(self.until)])
        return alt.X(f"{field}:T", title=None, axis=axis, scale=scale)


def lines(
    table: pd.DataFrame, window: Window, names: Mapping[str, str], unit: str, *, zero: bool = True
) -> alt.LayerChart:
    """Draw the columns of `names` (each with its word for people) over time, shaded from lowest to highest."""
    order = list(names.values())
    colors = alt.Scale(domain=order, range=[style.SERIES[name] for name in names])
    dashes = alt.Scale(domain=order, range=[_DASHES.get(name, [1, 0]) for name in names])
    legend = _LEGEND if len(names) > 1 else None
    layers = _throttled(window)
    for name, label in names.items():
        shown = table[["at", name, f"{name}_low", f"{name}_high"]].assign(what=label)
        color = alt.Color("what:N", scale=colors, legend=legend, sort=order)
        base = alt.Chart(shown).encode(x=window.across(), color=color)
        y = alt.Y(f"{name}:Q", title=unit, scale=alt.Scale(zero=zero, nice=True))
        said = _said({name: label, f"{name}_low": "lowest", f"{name}_high": "highest"}, unit)
        layers.append(base.mark_area(opacity=0.15).encode(y=f"{name}_low:Q", y2=f"{name}_high:Q"))
        dash = alt.StrokeDash("what:N", scale=dashes, legend=legend, sort=order)
        layers.append(base.mark_line(strokeWidth=1.8, point=_dots(shown)).encode(y=y, strokeDash=dash, tooltip=said))
    return _finished([*layers, *_deployed(window)])


def energy(
    table: pd.DataFrame, window: Window, predicted: dict[str, Any] | None, budget_mj: float | None
) -> alt.LayerChart:
    """Draw energy of one inference, mJ, over the predicted interval as a band and under the budget as a line."""
    layers: list[Any] = []
    low, high = (predicted or {}).get("low_mj"), (predicted or {}).get("high_mj")
    if low is not None and high is not None:
        band = pd.DataFrame([{"low": low, "high": high, "what": f"predicted {low:g}–{high:g} mJ"}])
        box = alt.Chart(band).mark_rect(opacity=0.16, color=style.PREDICTED, stroke=style.PREDICTED, strokeDash=[3, 3])
        layers.append(box.encode(y="low:Q", y2="high:Q", tooltip=alt.Tooltip("what:N", title="band")))
    if budget_mj is not None:
        limit = pd.DataFrame([{"budget": budget_mj, "what": f"budget {budget_mj:g} mJ"}])
        rule = alt.Chart(limit).mark_rule(color=style.BUDGET, strokeWidth=1.5)
        layers.append(rule.encode(y="budget:Q", tooltip=alt.Tooltip("what:N", title="limit")))
    return _finished([*_throttled(window), *layers, *_by_kind(table, window, "energy", "mJ"), *_deployed(window)])


def power(table: pd.DataFrame, window: Window) -> alt.LayerChart:
    """Draw power, mW, by the kind of who says it."""
    return _finished([*_throttled(window), *_by_kind(table, window, "power", "mW"), *_deployed(window)])


def cost(models: pd.DataFrame, *, named: bool = True) -> alt.LayerChart:
    """Draw what is known of models: top-1 in % against predicted mJ per inference, hollow, with intervals.

    Each has its name beside it when `named`, on hover always.
    """
    scale = alt.Scale(type="log", nice=True)
    across = alt.X("energy_mj:Q", title="predicted mJ per inference, log scale", scale=scale, axis=alt.Axis(grid=False))
    up = alt.Y("top1_pct:Q", title="top-1, %", scale=alt.Scale(zero=False, padding=14))
    base = alt.Chart(models)
    color = style.SERIES["p50"]
    bars = base.mark_rule(color=color, opacity=0.45, strokeWidth=3).encode(
        x=alt.X("low_mj:Q", scale=scale), x2="high_mj:Q", y=up
    )
    said = [alt.Tooltip(name) for name in ("name", "energy_mj", "low_mj", "high_mj", "top1_pct")]
    dots = base.mark_point(size=110, color=color, filled=False, strokeWidth=2, fill="transparent")
    names = base.mark_text(dy=-14, fontSize=12, color=style.PREDICTED).encode(x=across, y=up, text="name:N")
    return _finished([bars, dots.encode(x=across, y=up, tooltip=said), *([names] if named else [])], height=280)


def _by_kind(table: pd.DataFrame, window: Window, name: str, unit: str) -> list[Any]:
    """Return lines of energy or power: solid where a meter measured, dotted where modelled, striped where simulated."""
    order = [kind for kind in KINDS if kind in set(table["kind"])]
    dash = alt.StrokeDash(
        "kind:N", scale=alt.Scale(domain=order, range=[KINDS[kind] for kind in order]), legend=_LEGEND
    )
    base = alt.Chart(table).encode(x=window.across(), detail="source:N")
    color = style.SERIES["energy"]
    said = [alt.Tooltip("kind:N", title="it is"), alt.Tooltip("source:N", title="source")]
    said += _said({name: "mean", f"{name}_low": "lowest", f"{name}_high": "highest"}, unit)
    y = alt.Y(f"{name}:Q", title=unit, scale=alt.Scale(zero=True))
    return [
        base.mark_area(opacity=0.2, color=color).encode(y=f"{name}_low:Q", y2=f"{name}_high:Q"),
        base.mark_line(color=color, strokeWidth=1.8, point=_dots(table)).encode(y=y, strokeDash=dash, tooltip=said),
    ]


def _instant(ts: float) -> alt.DateTime:
    at = datetime.fromtimestamp(ts, UTC)
    return alt.DateTime(
        year=at.year, month=at.month, date=at.day, hours=at.hour, minutes=at.minute, seconds=at.second, utc=True
    )


def _said(fields: Mapping[str, str], unit: str) -> list[alt.Tooltip]:
    at = alt.Tooltip("at:T", timeUnit=_UTC, title="UTC", format="%Y-%m-%d %H:%M:%S")
    return [at, *(alt.Tooltip(f"{name}:Q", title=f"{label}, {unit}", format=",.4~r") for name, label in fields.items())]


def _dots(table: pd.DataFrame) -> alt.OverlayMarkDef | bool:
    return alt.OverlayMarkDef(size=14) if len(table) <= DOTTED_UP_TO else False


def _throttled(window: Window) -> list[Any]:
    if window.throttled.empty:
        return []
    shown = window.throttled.assign(what="throttled: the board slowed itself down")
    box = alt.Chart(shown).mark_rect(color=style.THROTTLED, opacity=0.18)
    return [box.encode(x=window.across("from"), x2="to:T", tooltip=alt.Tooltip("what:N", title="it was"))]


def _deployed(window: Window) -> list[Any]:
    if window.marks.empty:
        return []
    rule = alt.Chart(window.marks).mark_rule(color=style.PREDICTED, strokeDash=[4, 3])
    cap = alt.Chart(window.marks).mark_point(
        shape="triangle-down", size=70, filled=True, color=style.PREDICTED, opacity=1
    )
    said = alt.Tooltip("what:N", title="deployment")
    return [rule.encode(x=window.across(), tooltip=said), cap.encode(x=window.across(), y=alt.value(4), tooltip=said)]


def _finished(layers: list[Any], height: int = HEIGHT) -> alt.LayerChart:
    chart: alt.LayerChart = alt.layer(*layers).properties(height=height).configure_view(strokeWidth=0)
    return chart
