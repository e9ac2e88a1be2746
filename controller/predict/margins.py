"""How much another version of a runtime, or another board, moves energy: what an interval is widened by for them."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from controller.predict.process import Floats
from controller.predict.rows import APART, newest

RUNTIME = "tflite"
"""What every board ran on its CPU; energy moves with version and runtime, so neither is ever pooled."""


def version_margin(table: pd.DataFrame, boards: Sequence[str]) -> float:
    """Return the largest median |log ratio| between two versions of the runtime on the same board."""
    shifts = []
    for board, latest in ((b, newest(table, b, RUNTIME)) for b in boards):
        own = _medians(table, board)
        for quantized in (0, 1):
            part = own.xs(quantized, level="quantized")
            versions = {name: part.xs(name, level="framework") for name in part.index.unique("framework")}
            shifts += [
                float(np.log(versions[latest] / other).abs().median())
                for name, other in versions.items()
                if name != latest
            ]
    return max(shift for shift in shifts if math.isfinite(shift))


def board_margin(table: pd.DataFrame, boards: Sequence[str]) -> float:
    """Return the 95th percentile of |log ratio| to the most similar other board, for the board where it is largest."""
    side = pd.DataFrame({b: _medians(table, b).xs(newest(table, b, RUNTIME), level="framework") for b in boards})
    logs: Floats = np.log(side.dropna().to_numpy(float))
    gaps = np.abs(logs[:, :, None] - logs[:, None, :])
    likeness = np.median(gaps, axis=0) + np.diag(np.full(len(boards), np.inf))
    worst = np.percentile(gaps, 95, axis=0)
    return max(float(worst[i, likeness[i].argmin()]) for i in range(len(boards)))


def _medians(table: pd.DataFrame, board: str) -> pd.Series:
    rows = table[(table["board"] == board) & (table["runtime"] == RUNTIME) & (table["family"] != APART)]
    return rows.groupby(["model", "quantized", "framework"])["energy_mj"].median()
