"""How well a board is predicted that was never in training, after a few runs on it."""

import numpy as np

from controller.predict.likelihood import likeliest
from controller.predict.margins import RUNTIME
from controller.predict.process import Floats, Process
from controller.predict.rows import Rows
from controller.predict.scores import Scores, ape_percent
from controller.predict.transfer import Transfer, points

NEAR_PERCENT = 20.0
Z_95 = 1.96


def new_board(rows: Rows, k: int) -> list[Scores]:
    """Return, for each set, how the others foretell it after `k` runs, on the networks that were not run.

    All sets of the board are left out, the others foretell with the runtime that is shipped, and the runs are chosen
    as `choose_runs` does, with every network wanted.
    """
    kernel = likeliest(rows.x, rows.y)
    smooth = np.column_stack([Process(kernel=kernel, x=rows.x, y=y).at(rows.x)[0] for y in rows.y.T])
    return [_stranger(rows, smooth, column, k) for column in range(len(rows.sets))]


def _stranger(rows: Rows, smooth: Floats, column: int, k: int) -> Scores:
    board = rows.sets[column][0]
    others = [i for i, (other, runtime) in enumerate(rows.sets) if other != board and runtime == RUNTIME]
    ratio = rows.y[:, column] - smooth[:, others].mean(1)
    at, transfer = points(rows.models), Transfer()
    chosen = transfer.choose(at, at, k)
    rest = np.setdiff1d(np.arange(len(at)), chosen)
    learned = transfer.learn(at[chosen], ratio[chosen])
    mean, spread = transfer.told(at[rest], at[chosen], learned)
    error, half = ratio[rest] - mean, Z_95 * spread
    ape = ape_percent(error)
    return {
        "mape_percent": float(ape.mean()),
        "median_ape_percent": float(np.median(ape)),
        "within_20_percent": float((ape <= NEAR_PERCENT).mean() * 100),
        "coverage_percent": float((np.abs(error) <= half).mean() * 100),
        "width_percent": float((np.exp(half) - np.exp(-half)).mean() * 100),
    }
