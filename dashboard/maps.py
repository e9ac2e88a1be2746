"""Altair charts of accuracy against energy, and of predicted against measured."""

from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from dashboard import style

HEIGHT = 380
NAMES_UP_TO = 24


def frontier(spots: pd.DataFrame, budget_mj: float | None) -> alt.LayerChart:
    """Draw top-1 against energy: the frontier as a line, dominated ones pale, intervals as bars, the budget shaded.

    What is measured is solid, what is predicted hollow.
    """
    up = alt.Y("top1_pct:Q", title="top-1, %", scale=alt.Scale(zero=False, padding=16))
    scale = alt.Scale(type="log", nice=False, domain=list(_reach(spots, budget_mj)))
    axis = alt.Axis(grid=False, labelOverlap=True, tickCount=8)
    across = alt.X("energy_mj:Q", title="mJ per inference, log scale", scale=scale, axis=axis)
    pale = alt.condition("datum.stands == 'on the frontier' || datum.picked", alt.value(1.0), alt.value(0.32))
    base = alt.Chart(spots)
    layers: list[Any] = [_allowed(budget_mj, spots, scale)] if budget_mj is not None else []
    bars = base.transform_filter("datum.known == 'predicted'").mark_rule(color=style.SERIES["p50"], strokeWidth=3)
    layers.append(bars.encode(x=alt.X("low_mj:Q", scale=scale), x2="high_mj:Q", y=up, opacity=_half()))
    members = base.transform_filter("datum.stands == 'on the frontier'")
    line = members.mark_line(color=style.SERIES["energy"], strokeWidth=1.6, strokeDash=[5, 3], interpolate="step-after")
    layers.append(line.encode(x=across, y=up, order="energy_mj:Q"))
    said = [alt.Tooltip("name:N", title="model"), alt.Tooltip("top1_pct:Q", title="top-1, %", format=".1f")]
    said += [alt.Tooltip(f"{key}:Q", title=f"{title}, mJ", format=".3~r") for key, title in _ENERGIES]
    said += [alt.Tooltip("known:N", title="energy is"), alt.Tooltip("stands:N", title="it is")]
    dots = base.mark_point(size=105, strokeWidth=2, color=style.SERIES["p50"])
    fill = alt.condition("datum.known == 'measured'", alt.value(style.SERIES["p50"]), alt.value("transparent"))
    layers.append(dots.encode(x=across, y=up, opacity=pale, fill=fill, tooltip=said))
    ring = base.transform_filter("datum.picked").mark_point(size=420, strokeWidth=2.5, color=style.BUDGET)
    layers.append(ring.encode(x=across, y=up, tooltip=said))
    named = members if len(spots) > NAMES_UP_TO else base
    text = named.mark_text(dy=-14, fontSize=12, color=style.PREDICTED, limit=170)
    few = spots["stands"].eq("on the frontier").sum() <= NAMES_UP_TO
    layers += [text.encode(x=across, y=up, text="name:N", opacity=pale)] if few else []
    return _finished(layers, HEIGHT)


def errors(rows: pd.DataFrame) -> alt.LayerChart:
    """Draw the mean error of training by board, on networks and on families it had not seen."""
    order = ["unseen network", "unseen family"]
    colors = alt.Scale(domain=order, range=[style.SERIES["p50"], style.SERIES["p95"]])
    bars = alt.Chart(rows).mark_bar()
    drawn = bars.encode(
        y=alt.Y("board:N", title=None, axis=alt.Axis(labelLimit=160)),
        yOffset=alt.YOffset("what:N", sort=order),
        x=alt.X("percent:Q", title="mean absolute error, %", axis=alt.Axis(tickCount=6)),
        color=alt.Color("what:N", scale=colors, legend=alt.Legend(orient="top", title=None)),
        tooltip=[alt.Tooltip("board:N"), alt.Tooltip("what:N"), alt.Tooltip("percent:Q", format=".1f", title="%")],
    )
    return _finished([drawn], 40 + 46 * rows["board"].nunique())


def told_and_came(points: pd.DataFrame) -> alt.LayerChart:
    """Draw what was predicted against what came, with the intervals and the line where both are equal."""
    figures = points[["predicted_mj", "actual_mj", "low_mj", "high_mj"]].astype(float)
    low, high = float(figures.min().min()) * 0.85, float(figures.max().max()) * 1.2
    scale = alt.Scale(type="log", nice=False, domain=[low, high])
    equal = pd.DataFrame([{"x": low, "y": low}, {"x": high, "y": high}])
    diagonal = alt.Chart(equal).mark_line(color=style.PREDICTED, strokeDash=[4, 3])
    base = alt.Chart(points)
    across = alt.X("actual_mj:Q", title="came out at, mJ per inference, log scale", scale=scale)
    up = alt.Y("predicted_mj:Q", title="predicted, mJ", scale=scale)
    said = [alt.Tooltip(f"{name}:N") for name in ("model", "device", "board", "known")]
    said += [alt.Tooltip(f"{name}:Q", format=".3~r") for name in ("predicted_mj", "low_mj", "high_mj", "actual_mj")]
    bars = base.mark_rule(opacity=0.4, strokeWidth=2.5, color=style.SERIES["p50"])
    fill = alt.condition("datum.known == 'measured'", alt.value(style.SERIES["p50"]), alt.value("transparent"))
    dots = base.mark_point(size=90, strokeWidth=2, color=style.SERIES["p50"])
    layers = [
        diagonal.encode(x=alt.X("x:Q", scale=scale), y=alt.Y("y:Q", scale=scale)),
        bars.encode(x=across, y=alt.Y("low_mj:Q", scale=scale), y2="high_mj:Q"),
        dots.encode(x=across, y=up, fill=fill, tooltip=said),
    ]
    return _finished(layers, 320)


_ENERGIES = (("energy_mj", "energy"), ("low_mj", "from"), ("high_mj", "to"))


def _reach(spots: pd.DataFrame, budget_mj: float | None) -> tuple[float, float]:
    """Return the ends of the energy axis: all intervals and the budget, with a little room."""
    least, most = float(spots["low_mj"].min()), float(spots["high_mj"].max())
    limits = [least, most] + ([] if budget_mj is None else [budget_mj])
    return min(limits) * 0.8, max(limits) * 1.25


def _allowed(budget_mj: float, spots: pd.DataFrame, scale: alt.Scale) -> Any:
    """Return the budget as a shaded area up to its end."""
    area = pd.DataFrame([{"from": _reach(spots, budget_mj)[0], "to": budget_mj, "what": f"budget {budget_mj:g} mJ"}])
    box = alt.Chart(area).mark_rect(color=style.SERIES["energy"], opacity=0.09)
    return box.encode(x=alt.X("from:Q", scale=scale), x2="to:Q", tooltip=alt.Tooltip("what:N", title="within"))


def _half() -> Any:
    return alt.condition("datum.stands == 'on the frontier' || datum.picked", alt.value(0.45), alt.value(0.16))


@st.cache_data(max_entries=100, show_spinner=False)
def document(which: str, rows: pd.DataFrame, **options: Any) -> dict[str, Any]:
    """Return one of these charts as a Vega-Lite document, made once for the same rows: making one is slow."""
    made: dict[str, Any] = _CHARTS[which](rows, **options).to_dict()
    return made


def _finished(layers: list[Any], height: int) -> alt.LayerChart:
    chart: alt.LayerChart = alt.layer(*layers).properties(height=height).configure_view(strokeWidth=0)
    return chart


_CHARTS: dict[str, Any] = {"frontier": frontier, "errors": errors, "told_and_came": told_and_came}
