"""Other ways of predicting, on the same rows and folds as the champion; they answer errors, not intervals."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.optimize import nnls  # type: ignore[import-untyped]  # comes with scikit-learn, without stubs

from controller.predict import baseline
from controller.predict.evaluate import Fit, folds, gaussian, held_out
from controller.predict.features import Features
from controller.predict.likelihood import likeliest
from controller.predict.process import Floats, Process
from controller.predict.rows import Rows
from controller.predict.scores import Scores, mean, rounded, scores
from controller.predict.vectors import work

ERRORS = ("mape_percent", "median_ape_percent", "within_10_percent", "r2")
Answer = Callable[[Rows], tuple[Floats, Floats]]

LEAST_SHARE = 1e-3
"""Of the cheapest measured network: what the additive part says at least, so that its logarithm exists."""


def roofline(rows: Rows) -> Answer:
    """Fit a sum of costs (one inference, dense, depthwise, activations, weights), then a process to what is left."""
    costs = [_costs(rows, y) for y in rows.y.T]
    left = np.column_stack([y - _sums(rows, cost) for y, cost in zip(rows.y.T, costs, strict=True)])
    kernel = likeliest(rows.x, left)
    processes = [Process(kernel=kernel, x=rows.x, y=y) for y in left.T]

    def answer(other: Rows) -> tuple[Floats, Floats]:
        said = [_sums(other, cost) + process.at(other.x)[0] for cost, process in zip(costs, processes, strict=True)]
        return np.column_stack(said), np.zeros((len(other.models), len(costs)))

    return answer


def boosting(rows: Rows) -> Answer:
    """Fit the named baseline, which is told the latency that was measured beside the energy."""
    fitted = [
        baseline.fit(_timed(rows, column), np.exp(rows.y[:, column]), baseline.SEED) for column in range(len(rows.sets))
    ]

    def answer(other: Rows) -> tuple[Floats, Floats]:
        said = [np.log(np.maximum(each.predict(_timed(other, i)), 1e-6)) for i, each in enumerate(fitted)]
        return np.column_stack(said), np.zeros_like(other.y)

    return answer


WAYS: dict[str, Fit] = {
    "gaussian process": gaussian,
    "roofline and gaussian process": roofline,
    "gradient boosting with measured latency": boosting,
}


def contest(rows: Rows, seed: int, say: Callable[[str], None]) -> dict[str, dict[str, Scores]]:
    """Return the errors of each way, architectures left out and families left out; means over the sets of `rows`."""
    protocols = {"seen": folds(rows.architecture, seed), "unseen_family": rows.family}
    answer: dict[str, dict[str, Scores]] = {}
    for name, way in WAYS.items():
        say(f"contest: {name}")
        answer[name] = {}
        for protocol, groups in protocols.items():
            held = held_out(rows, groups, way)
            found = [scores(held, column) for column in range(len(rows.sets))]
            answer[name][protocol] = rounded(mean(found, ERRORS))
    return answer


def _costs(rows: Rows, y: Floats) -> dict[bool, Floats]:
    """Return what each unit of `work` costs, in float and in integers: least relative squares, none negative."""
    terms, energy_mj = np.array([work(model) for model in rows.models]), np.exp(y)
    integer = np.array([model.quantized for model in rows.models])
    floor = np.array([LEAST_SHARE * energy_mj.min(), 0, 0, 0, 0])
    answer: dict[bool, Floats] = {}
    for own in (False, True):
        part = integer == own
        cost, _ = nnls(terms[part] / energy_mj[part, None], np.ones(part.sum()))
        answer[own] = np.maximum(cost, floor)
    return answer


def _sums(rows: Rows, costs: dict[bool, Floats]) -> Floats:
    sums: Floats = np.log([float(np.dot(work(model), costs[model.quantized])) for model in rows.models])
    return sums


def _timed(rows: Rows, column: int) -> list[Features]:
    return [
        replace(model, latency_avg_s=latency)
        for model, latency in zip(rows.models, rows.latency_s[:, column].tolist(), strict=True)
    ]
