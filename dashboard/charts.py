"""Charts of a device's past and of what models cost, as Vega-Lite documents over one table each.

They are written as plain documents: building the same from Altair's objects takes twenty times as long, for every
viewer at every redraw.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from dashboard import style

Document = dict[str, Any]

HEIGHT = 200
DOTTED_UP_TO = 60
"""With fewer points each is a dot, too: one that stands alone would be no line."""
_DAY_S, _SHORT_S = 86_400.0, 600.0
_LEGEND: Document = {
    "orient": "top",
    "title": None,
    "symbolType": "stroke",
    "symbolOpacity": 1,
    "symbolSize": 260,
    "symbolStrokeWidth": 2,
}
_SOLID = [1, 0]
_DASHED: tuple[str, list[float]] = ("dashed", [7, 2])
_DASHES: dict[str, tuple[str, list[float]]] = {"p95": _DASHED, "peak": ("dotted", [2, 2]), "ram": _DASHED}
"""How a line is drawn besides its colour, and the word for it in the legend."""
KINDS: dict[str, list[float]] = {"measured": [1, 0], "modelled": [1.5, 3], "simulated": [6, 3]}
"""How a line of each kind of energy is drawn: solid, dotted, striped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """What `st.vega_lite_chart` draws: one table, and the document that says how."""

    data: pd.DataFrame
    spec: Document


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What charts of one range share: its ends (Unix s), what was deployed, when the board was throttled or charged."""

    since: float
    until: float
    marks: pd.DataFrame
    throttled: pd.DataFrame
    charging: pd.DataFrame

    def across(self, field: str = "at") -> Document:
        """Return the axis of time, over the whole range: what is missing at its ends is seen, too."""
        reach = self.until - self.since
        shape = "%d %b" if reach > _DAY_S else "%H:%M" if reach > _SHORT_S else "%H:%M:%S"
        axis = {"labelOverlap": True, "grid": False, "tickCount": 6, "format": shape}
        scale = {"type": "utc", "domain": [_instant(self.since), _instant(self.until)]}
        return {"field": field, "type": "temporal", "title": None, "axis": axis, "scale": scale}


def lines(table: pd.DataFrame, window: Window, names: Mapping[str, str], unit: str, *, zero: bool = True) -> Chart:
    """Draw the columns of `names` (each with its word for people) over time, shaded from lowest to highest."""
    order, legend = [_named(name, label) for name, label in names.items()], _LEGEND if len(names) > 1 else None
    colors = {"domain": order, "range": [style.SERIES[name] for name in names]}
    layers = _throttled(window) + (_charging(window) if "soc" in names else [])
    for name, label in reversed(list(names.items())):
        color = {"datum": _named(name, label), "type": "nominal", "scale": colors, "legend": legend}
        dash = {"value": _DASHES[name][1] if name in _DASHES else _SOLID}
        said = _said({name: label, f"{name}_low": "lowest", f"{name}_high": "highest"}, unit)
        layers += _drawn(name, unit, zero=zero, dots=len(table) <= DOTTED_UP_TO, tooltip=said, color=color, dash=dash)
    columns = ["at", *(f"{name}{end}" for name in names for end in ("", "_low", "_high"))]
    return _finished(table[columns], [*layers, *_deployed(window)], window)


def energy(table: pd.DataFrame, window: Window, predicted: Document | None, budget_mj: float | None) -> Chart:
    """Draw energy of one inference, mJ, over the predicted interval as a band and under the budget as a line."""
    low, high = (predicted or {}).get("low_mj"), (predicted or {}).get("high_mj")
    layers: list[Document] = []
    if low is not None and high is not None:
        said = f"predicted {low:g}–{high:g} mJ"
        band = {"type": "rect", "opacity": 0.16, "color": style.PREDICTED, "stroke": style.PREDICTED}
        layers.append(_aside([{"low": low, "high": high}], band | {"strokeDash": [3, 3]}, said, y="low", y2="high"))
    if budget_mj is not None:
        rule = {"type": "rule", "color": style.BUDGET, "strokeWidth": 1.5}
        layers.append(_aside([{"budget": budget_mj}], rule, f"budget {budget_mj:g} mJ", y="budget"))
    return _by_kind(table, window, "energy", "mJ", layers)


def power(table: pd.DataFrame, window: Window) -> Chart:
    """Draw power, mW, by the kind of who says it."""
    return _by_kind(table, window, "power", "mW", [])


def cost(models: pd.DataFrame, *, named: bool) -> Chart:
    """Draw what is known of models: top-1 in % against predicted mJ per inference, hollow, with intervals.

    Each has its name beside it when `named`, on hover always.
    """
    scale, color = {"type": "log", "nice": True}, style.SERIES["p50"]
    said = {"title": "predicted mJ per inference, log scale", "axis": {"grid": False}}
    across = {"field": "energy_mj", "type": "quantitative", "scale": scale, **said}
    up = {"field": "top1_pct", "type": "quantitative", "title": "top-1, %", "scale": {"zero": False, "padding": 14}}
    low = {"field": "low_mj", "type": "quantitative", "scale": scale, **said}
    names = ("name", "energy_mj", "low_mj", "high_mj", "top1_pct")
    dot = {"type": "point", "size": 110, "color": color, "filled": False, "strokeWidth": 2, "fill": "transparent"}
    layers: list[Document] = [
        {
            "mark": {"type": "rule", "color": color, "opacity": 0.45, "strokeWidth": 3},
            "encoding": {"x": low, "x2": {"field": "high_mj"}, "y": up},
        },
        {"mark": dot, "encoding": {"x": across, "y": up, "tooltip": [{"field": name} for name in names]}},
    ]
    if named:
        text = {"type": "text", "dy": -14, "fontSize": 12, "color": style.PREDICTED}
        layers.append({"mark": text, "encoding": {"x": across, "y": up, "text": {"field": "name"}}})
    return Chart(data=models, spec={"height": 280, "layer": layers, "config": {"view": {"strokeWidth": 0}}})


def _named(name: str, label: str) -> str:
    return f"{label}, {_DASHES[name][0]}" if name in _DASHES else label


def _by_kind(table: pd.DataFrame, window: Window, name: str, unit: str, behind: list[Document]) -> Chart:
    """Draw energy or power: solid where a meter measured, dotted where modelled, striped where simulated."""
    order = [kind for kind in KINDS if kind in set(table["kind"])]
    shapes = {"domain": order, "range": [KINDS[kind] for kind in order]}
    dash = {"field": "kind", "type": "nominal", "scale": shapes, "legend": _LEGEND}
    said = [{"field": "kind", "title": "it is"}, {"field": "source", "title": "source"}]
    said += _said({name: "mean", f"{name}_low": "lowest", f"{name}_high": "highest"}, unit)
    color = {"value": style.SERIES["energy"]}
    drawn = _drawn(name, unit, zero=True, dots=len(table) <= DOTTED_UP_TO, tooltip=said, color=color, dash=dash)
    for layer in drawn:
        layer["encoding"]["detail"] = {"field": "source"}
    columns = ["at", "kind", "source", *(f"{name}{end}" for end in ("", "_low", "_high"))]
    return _finished(table[columns], [*_throttled(window), *behind, *drawn, *_deployed(window)], window)


def _drawn(
    name: str, unit: str, *, zero: bool, dots: bool, tooltip: list[Document], color: Document, dash: Document
) -> list[Document]:
    """Return the shade from lowest to highest and the line of the mean."""
    scale = {"zero": zero, "nice": True}
    y: Document = {"field": name, "type": "quantitative", "title": unit, "scale": scale}
    low = {"field": f"{name}_low", "type": "quantitative", "title": unit, "scale": scale}
    shade = {"y": low, "y2": {"field": f"{name}_high"}, "color": color}
    line = {"type": "line", "strokeWidth": 1.8, "point": {"size": 14} if dots else False}
    return [
        {"mark": {"type": "area", "opacity": 0.17}, "encoding": shade},
        {"mark": line, "encoding": {"y": y, "color": color, "strokeDash": dash, "tooltip": tooltip}},
    ]


def _said(fields: Mapping[str, str], unit: str) -> list[Document]:
    shape = {"type": "temporal", "timeUnit": "utcyearmonthdatehoursminutesseconds", "format": "%Y-%m-%d %H:%M:%S"}
    figures = [
        {"field": name, "type": "quantitative", "title": f"{label}, {unit}", "format": ",.4~r"}
        for name, label in fields.items()
    ]
    return [{"field": "at", "title": "UTC", **shape}, *figures]


def _throttled(window: Window) -> list[Document]:
    box = {"type": "rect", "color": style.THROTTLED, "opacity": 0.18}
    return _shaded(window, window.throttled, box, "throttled: the board slowed itself down")


def _charging(window: Window) -> list[Document]:
    """Return a shade and, for who does not see its colour, a bar along the bottom where the battery charged."""
    said = "charging, at least in part of this time"
    shade = _shaded(window, window.charging, {"type": "rect", "color": style.CHARGING, "opacity": 0.14}, said)
    bars = _shaded(window, window.charging, {"type": "rule", "color": style.CHARGING, "strokeWidth": 5}, said)
    for bar in bars:
        bar["encoding"]["y"] = {"value": {"expr": "height - 3"}}
    return shade + bars


def _shaded(window: Window, times: pd.DataFrame, mark: Document, said: str) -> list[Document]:
    spans = [{"from": _ms(row["from"]), "to": _ms(row["to"])} for row in times.to_dict("records")]
    if not spans:
        return []
    drawn = _aside(spans, mark, said)
    drawn["encoding"] |= {"x": window.across("from"), "x2": {"field": "to"}}
    return [drawn]


def _deployed(window: Window) -> list[Document]:
    marks = [{"at": _ms(row["at"]), "what": row["what"]} for row in window.marks.to_dict("records")]
    if not marks:
        return []
    said = {"field": "what", "title": "deployment", "type": "nominal"}
    rule = {"type": "rule", "color": style.PREDICTED, "strokeDash": [4, 3]}
    cap = {
        "type": "point",
        "shape": "triangle-down",
        "size": 70,
        "filled": True,
        "color": style.PREDICTED,
        "opacity": 1,
    }
    at = {"x": window.across(), "tooltip": said}
    data = {"values": marks}
    return [
        {"data": data, "mark": rule, "encoding": at},
        {"data": data, "mark": cap, "encoding": at | {"y": {"value": 4}}},
    ]


def _aside(rows: list[Document], mark: Document, said: str, **along: str) -> Document:
    """Return a layer with data of its own, and what it says when pointed at."""
    encoding: Document = {channel: {"field": name} for channel, name in along.items()}
    if "y" in encoding:
        encoding["y"] |= {"type": "quantitative"}
    encoding["tooltip"] = {"value": said}
    return {"data": {"values": rows}, "mark": mark, "encoding": encoding}


def _instant(ts: float) -> Document:
    at = datetime.fromtimestamp(ts, UTC)
    parts = {"hours": at.hour, "minutes": at.minute, "seconds": at.second}
    return {"year": at.year, "month": at.month, "date": at.day, **parts, "utc": True}


def _ms(at: pd.Timestamp) -> float:
    return float(at.timestamp() * 1_000)


def _finished(table: pd.DataFrame, layers: list[Document], window: Window) -> Chart:
    for layer in layers:
        if "data" not in layer:
            layer["encoding"]["x"] = window.across()
    return Chart(data=table, spec={"height": HEIGHT, "layer": layers, "config": {"view": {"strokeWidth": 0}}})
