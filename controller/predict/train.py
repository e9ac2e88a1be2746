"""Trains a predictor for each measured board; `edgewatt predictors train` is the door to it.

The same data gives the same files. ResNet-50, the only dense network, is kept apart as a check far outside.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import nnls  # type: ignore[import-untyped]  # comes with scikit-learn, without stubs

from broker.errors import InvalidError
from controller.predict.evaluate import LEVEL, SEED, Calibrated, Held, calibrated, conformal, folds, gaussian, held_out
from controller.predict.features import Features
from controller.predict.likelihood import likeliest
from controller.predict.margins import RUNTIME, board_margin, version_margin
from controller.predict.process import Kernel, Process
from controller.predict.rows import Rows, newest, select, sets_in, stack
from controller.predict.rows import features as architecture
from controller.predict.scores import Scores, ape_percent, scores
from controller.predict.support import ranges
from controller.predict.vectors import NAMES, Kind, matrix, work

VERSION = "1"
"""Of the predictor that comes with EdgeWatt."""

SOURCE = "MLPerf Inference v1.0-v3.0 (MLCommons, Apache-2.0)"

Say = Callable[[str], None]

PERCENTILES = (10, 25, 50, 75, 90)


def _silent(_: str) -> None:
    pass


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What all boards have in common for one set of numbers, and what was said about rows that were held out."""

    rows: Rows
    kernel: Kernel
    calibrated: Calibrated
    seen: Held
    unseen: Held


def train(
    table: pd.DataFrame,
    data_sha256: str,
    *,
    seed: int = SEED,
    boards: Sequence[str] = (),
    version: str = VERSION,
    say: Say = _silent,
) -> dict[str, Any]:
    """Return the whole of energy_predictor.json for the measured rows in `table`.

    `boards` are those wanted (default: all that have enough rows); every prediction names `version`; `say` is told what
    is being worked on. The same rows and seed give the same document. InvalidError for a board without enough rows.
    """
    able = [board for board, runtime in sets_in(table) if runtime == RUNTIME]
    for board in boards:
        if board not in able:
            raise InvalidError(
                f"there are too few rows of '{board}' with {RUNTIME} to train on",
                hint=f"calibrate the device with ten runs instead; enough rows: {', '.join(able)}",
                field="device",
            )
    shared = kinds(table, seed, say)
    return {
        "version": version,
        "unit": "mJ per inference",
        "level": LEVEL,
        "seed": seed,
        "data": {"source": SOURCE, "sha256": data_sha256, "rows": len(table)},
        "margins": {"runtime_version": version_margin(table, able), "other_board": board_margin(table, able)},
        "boards": {board: train_board(table, board, shared) for board in boards or able},
    }


def train_board(table: pd.DataFrame, board: str, shared: Mapping[Kind, Shared]) -> dict[str, Any]:
    """Return the part of one board: two Gaussian processes, the additive costs, its power, and how well they do."""
    rows, rejected = select(table, board, RUNTIME)
    models = [architecture(row) for row in rows.to_dict("records")]
    energy_mj = rows["energy_mj"].to_numpy(float)
    return {
        "runtime": RUNTIME,
        "framework": newest(table, board, RUNTIME),
        "rows": len(rows),
        "architectures": int(rows["arch_key"].nunique()),
        "families": sorted(rows["family"].unique()),
        "rejected": rejected,
        "range": ranges(models),
        "names": rows["model"].tolist(),
        "percentiles_mj": {f"P{p}": round(float(np.percentile(energy_mj, p)), 4) for p in PERCENTILES},
        "cost": {"float": _additive(rows, models, quantized=False), "int8": _additive(rows, models, quantized=True)},
        "cheapest_mj": {
            "float": float(energy_mj[rows["quantized"] == 0].min()),
            "int8": float(energy_mj[rows["quantized"] == 1].min()),
        },
        "power": _power(rows),
        "kinds": {kind: _kind(kind, part, board, rows, models) for kind, part in shared.items()},
    }


def kinds(table: pd.DataFrame, seed: int = SEED, say: Say = _silent) -> dict[Kind, Shared]:
    """Return, for each set of numbers, the kernel of all sets together and how well it does on what it has not seen."""
    answer: dict[Kind, Shared] = {}
    for kind in NAMES:
        say(f"{kind}: the kernel of all boards, then architectures and families left out")
        rows = stack(table, kind)
        kernel = likeliest(rows.x, rows.y)
        fit = partial(gaussian, seed=seed)
        answer[kind] = Shared(
            rows=rows,
            kernel=kernel,
            calibrated=calibrated(rows, kernel, seed=seed),
            seen=held_out(rows, folds(rows.architecture, seed), fit),
            unseen=held_out(rows, rows.family, fit),
        )
    return answer


def _kind(kind: Kind, shared: Shared, board: str, rows: pd.DataFrame, models: list[Features]) -> dict[str, Any]:
    column = shared.rows.sets.index((board, RUNTIME))
    process = Process(
        kernel=shared.kernel,
        x=matrix(kind, models),
        y=np.log(rows["energy_mj"].to_numpy(float)),
        distrust=float(shared.calibrated.distrust[column]),
    )
    return {
        "process": process.document,
        "widening": float(shared.calibrated.widening[column]),
        "figures": _figures(scores(shared.seen, column)) | _figures(scores(shared.unseen, column), "family_"),
        "per_family_mape_pct": {
            name: round(float(ape_percent(shared.unseen.error[shared.rows.family == name, column]).mean()), 1)
            for name in np.unique(shared.rows.family).tolist()
        },
    }


def _figures(found: Scores, prefix: str = "") -> dict[str, float]:
    return {prefix + name.replace("percent", "pct"): round(value, 2) for name, value in found.items()}


def _additive(rows: pd.DataFrame, models: list[Features], *, quantized: bool) -> list[float]:
    """Return mJ per unit of `work`, none negative: least relative squares over the float or the int8 rows."""
    energy_mj = rows["energy_mj"].to_numpy(float)
    chosen = rows["quantized"].to_numpy(bool) == quantized
    terms = np.array([work(model) for model in models])[chosen]
    shares, _ = nnls(terms / energy_mj[chosen][:, None], np.ones(chosen.sum()))
    return [float(share) for share in shares]


def _power(rows: pd.DataFrame) -> dict[str, Any]:
    """Return log watts as a line in log (GMACs per second) and quantized; conformal over families left out."""
    latency_s = rows["latency_mean_ms"].to_numpy(float) / 1e3
    terms = np.column_stack([np.ones(len(rows)), np.log(rows["gmacs"] / latency_s), rows["quantized"]]).astype(float)
    watts = np.log(rows["energy_mj"].to_numpy(float) / 1e3 / latency_s)
    families = rows["family"].to_numpy(str)
    error = np.zeros(len(rows))
    for family in np.unique(families):
        seen = families != family
        error[~seen] = watts[~seen] - terms[~seen] @ np.linalg.lstsq(terms[seen], watts[seen])[0]
    return {
        "coefficients": [float(c) for c in np.linalg.lstsq(terms, watts)[0]],
        "half_width": float(conformal(np.abs(error))),
        "mape_pct": round(float(np.abs(np.expm1(-error)).mean() * 100), 1),
        "latency_s": [float(latency_s.min()), float(latency_s.max())],
    }
