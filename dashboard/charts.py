"""Altair charts of a device's past and of what models cost; 240 points at most per line."""

from typing import Any

import altair as alt
import pandas as pd

from dashboard import style

HEIGHT = 210
_DAY_S, _SHORT_S = 86_400.0, 600.0


def latency(history: pd.DataFrame, marks: pd.DataFrame) -> alt.LayerChart:
    """Draw p50 and p95 of latency, ms."""
    return _lines(history, marks, {"p50": "p50", "p95": "p95"}, "ms", zero=True)


def usage(history: pd.DataFrame, marks: pd.DataFrame) -> alt.LayerChart:
    """Draw processor and memory in use, %."""
    return _lines(history, marks, {"cpu": "CPU", "ram": "memory"}, "%", zero=True)


def heat(history: pd.DataFrame, marks: pd.DataFrame) -> alt.LayerChart:
    """Draw temperature, °C."""
    return _lines(history, marks, {"heat": "temperature"}, "°C", zero=False)


def energy(
    history: pd.DataFrame, marks: pd.DataFrame, predicted: dict[str, Any] | None, budget_mj: float | None
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
    color = style.SERIES["energy"]
    base = alt.Chart(history)
    layers.append(
        base.mark_area(opacity=0.22, color=color).encode(x=_time(history), y="energy_low:Q", y2="energy_high:Q")
    )
    said = [alt.Tooltip("at:T", title="at", format="%d %b %H:%M:%S"), alt.Tooltip("source:N", title="source")]
    said.append(alt.Tooltip("energy:Q", title="mJ per inference", format=".3~r"))
    line = base.mark_line(color=color, strokeWidth=1.8)
    layers.append(
        line.encode(x=_time(history), y=alt.Y("energy:Q", title="mJ", scale=alt.Scale(zero=True)), tooltip=said)
    )
    return _finished([*layers, *_deployed(marks, _time(history))])


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


def _lines(
    history: pd.DataFrame, marks: pd.DataFrame, names: dict[str, str], unit: str, *, zero: bool
) -> alt.LayerChart:
    order = list(names.values())
    colors = alt.Scale(domain=order, range=[style.SERIES[name] for name in names])
    told = alt.Legend(orient="top", title=None, symbolType="stroke", symbolOpacity=1, symbolStrokeWidth=3)
    legend = told if len(names) > 1 else None
    layers: list[Any] = []
    for name, label in names.items():
        shown = history[["at", name, f"{name}_low", f"{name}_high"]].assign(what=label)
        base = alt.Chart(shown).encode(
            x=_time(history), color=alt.Color("what:N", scale=colors, legend=legend, sort=order)
        )
        y = alt.Y(f"{name}:Q", title=unit, scale=alt.Scale(zero=zero, nice=True))
        said = [
            alt.Tooltip("at:T", title="at", format="%d %b %H:%M:%S"),
            alt.Tooltip(f"{name}:Q", title=f"{label}, {unit}"),
        ]
        layers.append(base.mark_area(opacity=0.15).encode(y=f"{name}_low:Q", y2=f"{name}_high:Q"))
        layers.append(base.mark_line(strokeWidth=1.8).encode(y=y, tooltip=said))
    return _finished([*layers, *_deployed(marks, _time(history))])


def _time(history: pd.DataFrame) -> Any:
    told = history["ts"].dropna()
    reach = 0.0 if told.empty else float(told.max() - told.min())
    shape = "%d %b" if reach > _DAY_S else "%H:%M" if reach > _SHORT_S else "%H:%M:%S"
    axis = alt.Axis(labelOverlap=True, grid=False, tickCount=6, format=shape)
    return alt.X("at:T", title=None, axis=axis)


def _deployed(marks: pd.DataFrame, across: Any) -> list[Any]:
    if marks.empty:
        return []
    rule = alt.Chart(marks).mark_rule(color=style.PREDICTED, strokeDash=[4, 3])
    cap = alt.Chart(marks).mark_point(shape="triangle-down", size=70, filled=True, color=style.PREDICTED, opacity=1)
    said = alt.Tooltip("what:N", title="deployment")
    return [rule.encode(x=across, tooltip=said), cap.encode(x=across, y=alt.value(4), tooltip=said)]


def _finished(layers: list[Any], height: int = HEIGHT) -> alt.LayerChart:
    chart: alt.LayerChart = alt.layer(*layers).properties(height=height).configure_view(strokeWidth=0)
    return chart
