"""The page of `edgewatt predictors evaluate --html`: figures and plots in one file that needs no network."""

import html
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np

from controller.predict import plots
from controller.predict.assess import BESIDE, PUBLISHED, Assessment, by_board
from controller.predict.evaluate import Held
from controller.predict.likelihood import likeliest
from controller.predict.plots import Series
from controller.predict.process import Process
from controller.predict.scores import ape_percent
from controller.predict.vectors import NAMES

LEVELS = tuple(percent / 100 for percent in range(5, 100, 5))
FAR, NEAR = 90, 10
"""Percentiles of a feature between which its effect is told."""

STYLE = """
:root { color-scheme: light dark; --ink: #1d2430; --faint: #d9dee5; --paper: #fff }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ee; --faint: #39414d; --paper: #161a20 } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto;
  max-width: 1180px; padding: 0 1rem }
main { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 480px), 1fr)); gap: 2rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums } td, th { padding: .2rem .8rem .2rem 0;
  text-align: left; border-bottom: 1px solid var(--faint) }
section { overflow-x: auto }
section:last-child { grid-column: 1 / -1 } svg { width: 100%; font-size: 11px } svg text { fill: var(--ink) }
.grid { stroke: var(--faint) } .mark { stroke: var(--ink); stroke-dasharray: 4 3 }
.legend { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .2rem 1rem; font-size: 12px }
.legend li::before { content: ""; display: inline-block; width: .7em; height: .7em; margin-right: .4em;
  border-radius: 50%; background: var(--colour) }
"""


def page(found: Assessment) -> str:
    """Return the whole page as HTML."""
    inside = [column for column, name in enumerate(found.rows.sets) if name not in BESIDE]
    sections = [
        ("Means over nine sets, and the best figures before", _means(found.document)),
        ("Intervals of 95 % that held", _boards(found)),
        ("Predicted against measured, architectures never seen", _agreement(found, found.seen, inside)),
        ("Predicted against measured, families never seen", _agreement(found, found.unseen, inside)),
        ("Mean error by family, when the whole family was never seen", _families(found, inside)),
        ("How often an interval of a given level held", _coverage(found, inside)),
        ("What a feature does alone: from its lower to its upper tenth, the others at their middle", _effects(found)),
        ("A board never seen: error after so many runs on it", _strangers(found)),
        ("Every set", _sets(found)),
    ]
    body = "".join(f"<section><h2>{html.escape(title)}</h2>{content}</section>" for title, content in sections)
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>The energy predictor, judged</title><style>{STYLE}</style><h1>The energy predictor, judged</h1>"
        f"<p>{len(found.rows.names)} networks on {len(found.rows.sets)} boards and runtimes. Every figure is of rows "
        f"that neither the predictor nor its intervals had seen.</p><main>{body}</main></html>\n"
    )


def _means(document: dict[str, Any]) -> str:
    parts = {**document, "new_board": document["new_board"]["10"]}
    rows = [
        (f"{what} {figure}".replace("_", " "), f"{value:.1f}", _figure(PUBLISHED[what].get(figure)))
        for what in PUBLISHED
        for figure, value in parts[what].items()
    ]
    return _table(("figure", "now", "best before"), rows)


def _boards(found: Assessment) -> str:
    seen, unseen = by_board(found, found.seen), by_board(found, found.unseen)
    rows = [(board, f"{seen[board]:.1f} %", f"{unseen[board]:.1f} %") for board in seen]
    return _table(("board", "architectures never seen", "families never seen"), rows)


def _sets(found: Assessment) -> str:
    names = ("mape_percent", "median_ape_percent", "within_10_percent", "r2", "coverage_percent", "width_percent")
    rows = [
        (each["board"], each["runtime"], *(f"{each['seen'][name]:.2f}" for name in names))
        for each in map(found.of_set, range(len(found.rows.sets)))
    ]
    return _table(("board", "runtime", *(name.replace("_percent", " %").replace("_", " ") for name in names)), rows)


def _agreement(found: Assessment, held: Held, inside: Sequence[int]) -> str:
    series = [
        Series(
            name=" ".join(found.rows.sets[column]),
            points=list(
                zip(
                    np.exp(held.said[:, column] + held.error[:, column]).tolist(),
                    np.exp(held.said[:, column]).tolist(),
                    strict=True,
                )
            ),
        )
        for column in inside
    ]
    return plots.scatter(series, x="measured, mJ per inference", y="predicted, mJ per inference")


def _families(found: Assessment, inside: Sequence[int]) -> str:
    error = ape_percent(found.unseen.error[:, inside])
    families = np.unique(found.rows.family).tolist()
    mine = {name: found.rows.family == name for name in families}
    named = [(f"{name} ({own.sum()})", float(error[own].mean())) for name, own in mine.items()]
    return plots.bars(sorted(named, key=lambda each: each[1]), unit="%")


def _coverage(found: Assessment, inside: Sequence[int]) -> str:
    whole = NormalDist().inv_cdf(0.975)
    series = []
    for name, held in (("architectures never seen", found.seen), ("families never seen", found.unseen)):
        share = np.abs(held.error[:, inside]) / held.half[:, inside]
        points = [
            (level * 100, float((share <= NormalDist().inv_cdf((1 + level) / 2) / whole).mean() * 100))
            for level in LEVELS
        ]
        series.append(Series(name=name, points=points))
    return plots.lines(series, x="level asked for, %", y="held, %", diagonal=True)


def _effects(found: Assessment) -> str:
    rows = found.rows
    kernel = likeliest(rows.x, rows.y)
    middle = np.median(rows.x, axis=0)
    ends = np.repeat(middle[None], 2 * len(middle), axis=0)
    for column in range(len(middle)):
        ends[2 * column : 2 * column + 2, column] = np.percentile(rows.x[:, column], [NEAR, FAR])
    said = np.mean([Process(kernel=kernel, x=rows.x, y=y).at(ends)[0] for y in rows.y.T], axis=0)
    change = np.expm1(said[1::2] - said[0::2]) * 100
    named = list(zip(NAMES["full"], change.tolist(), strict=True))
    return plots.bars(sorted(named, key=lambda each: -abs(each[1])), unit="%")


def _strangers(found: Assessment) -> str:
    means = found.document["new_board"]
    points = [(float(k), figures["mape_percent"]) for k, figures in means.items()]
    series = [Series(name="mean over nine sets", points=points)]
    rows = [(k, *(f"{value:.1f}" for value in figures.values())) for k, figures in means.items()]
    titles = ("runs", *(name.replace("_percent", " %").replace("_", " ") for name in means["10"]))
    return plots.lines(series, x="runs on the board", y="mean error, %") + _table(titles, rows)


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{html.escape(title)}</th>" for title in titles)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"
