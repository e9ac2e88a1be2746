"""Trains a predictor for each measured board: `python -m controller.predict.train --data mlperf_edge_energy.csv`.

The same data gives the same files. ResNet-50, the only dense network, is kept apart as a check far outside.
"""

import argparse
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import nnls  # type: ignore[import-untyped]  # comes with scikit-learn, without stubs

from controller.models.shipped import ARTIFACTS
from controller.predict.boards import MEASURED_BOARDS
from controller.predict.evaluate import LEVEL, Held, cautious, conformal, folds, gaussian, held_out, widening
from controller.predict.features import Features
from controller.predict.likelihood import likeliest
from controller.predict.predictor import FILES, FleetPredictor
from controller.predict.process import Floats, Kernel, Process
from controller.predict.rows import APART, Rows, newest, select, stack
from controller.predict.rows import features as architecture
from controller.predict.scores import Scores, ape_percent, scores
from controller.predict.support import ranges
from controller.predict.vectors import NAMES, Kind, matrix, work

RUNTIME = "tflite"
"""What every board ran on its CPU; energy moves with version and runtime, so neither is ever pooled."""

VERSION = 1
"""Of the shape of energy_predictor.json."""

PERCENTILES = (10, 25, 50, 75, 90)


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What all boards have in common for one set of numbers, and what was said about rows that were held out."""

    rows: Rows
    kernel: Kernel
    widening: Floats
    seen: Held
    unseen: Held


def train(table: pd.DataFrame, data_sha256: str) -> dict[str, Any]:
    """Return the whole of energy_predictor.json for the measured rows in `table`."""
    shared = kinds(table)
    return {
        "version": VERSION,
        "unit": "mJ per inference",
        "level": LEVEL,
        "data": {"source": "MLPerf Inference v1.0-v3.0 (MLCommons, Apache-2.0)", "sha256": data_sha256},
        "margins": {"runtime_version": _version_margin(table), "other_board": _board_margin(table)},
        "boards": {board: train_board(table, board, shared) for board in MEASURED_BOARDS},
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


def write(document: dict[str, Any], table: pd.DataFrame, folder: Path) -> None:
    """Write the predictor, its thresholds, its metadata and the manifest of their SHA-256 into `folder`."""
    boards = document["boards"]
    _write(folder / FILES.predictor, document)
    _write(folder / FILES.thresholds, {name: board["percentiles_mj"] for name, board in boards.items()})
    predictor = FleetPredictor(document)
    metadata = {name: {**_about(board), "check": _check(predictor, table, name)} for name, board in boards.items()}
    _write(folder / FILES.metadata, {"data": document["data"], "margins": document["margins"], "boards": metadata})
    names = (FILES.predictor, FILES.thresholds, FILES.metadata)
    _write(folder / FILES.manifest, {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names})


def main(arguments: list[str] | None = None) -> None:
    """Train from the command line and print how well it does."""
    parser = argparse.ArgumentParser(prog="python -m controller.predict.train", description="Train the predictors.")
    parser.add_argument("--data", type=Path, required=True, help="mlperf_edge_energy.csv")
    parser.add_argument("--out", type=Path, default=ARTIFACTS)
    options = parser.parse_args(arguments)
    table = pd.read_csv(options.data)
    document = train(table, hashlib.sha256(options.data.read_bytes()).hexdigest())
    write(document, table, options.out)
    for name, board in document["boards"].items():
        for kind, part in board["kinds"].items():
            print(name, kind, json.dumps(part["figures"]))  # noqa: T201  # a command line


def kinds(table: pd.DataFrame) -> dict[Kind, Shared]:
    """Return, for each set of numbers, the kernel of all sets together and how well it does on what it has not seen."""
    answer: dict[Kind, Shared] = {}
    for kind in NAMES:
        rows = stack(table, kind)
        kernel = likeliest(rows.x, rows.y)
        fit = gaussian if kind == "full" else cautious
        answer[kind] = Shared(
            rows=rows,
            kernel=kernel,
            widening=widening(rows, kernel, by_family=kind != "full"),
            seen=held_out(rows, folds(rows.architecture), fit),
            unseen=held_out(rows, rows.family, fit),
        )
    return answer


def _kind(kind: Kind, shared: Shared, board: str, rows: pd.DataFrame, models: list[Features]) -> dict[str, Any]:
    column = shared.rows.sets.index((board, RUNTIME))
    process = Process(kernel=shared.kernel, x=matrix(kind, models), y=np.log(rows["energy_mj"].to_numpy(float)))
    return {
        "process": process.document,
        "widening": float(shared.widening[column]),
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


def _version_margin(table: pd.DataFrame) -> float:
    """Return the largest median |log ratio| between two versions of the runtime on the same board."""
    shifts = []
    for board, latest in ((b, newest(table, b, RUNTIME)) for b in MEASURED_BOARDS):
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


def _board_margin(table: pd.DataFrame) -> float:
    """Return the 95th percentile of |log ratio| to the most similar other board, for the board where it is largest."""
    side = pd.DataFrame(
        {b: _medians(table, b).xs(newest(table, b, RUNTIME), level="framework") for b in MEASURED_BOARDS}
    )
    logs: Floats = np.log(side.dropna().to_numpy(float))
    gaps = np.abs(logs[:, :, None] - logs[:, None, :])
    likeness = np.median(gaps, axis=0) + np.diag(np.full(len(MEASURED_BOARDS), np.inf))
    worst = np.percentile(gaps, 95, axis=0)
    return max(float(worst[i, likeness[i].argmin()]) for i in range(len(MEASURED_BOARDS)))


def _medians(table: pd.DataFrame, board: str) -> pd.Series:
    rows = table[(table["board"] == board) & (table["runtime"] == RUNTIME) & (table["family"] != APART)]
    return rows.groupby(["model", "quantized", "framework"])["energy_mj"].median()


def _about(board: dict[str, Any]) -> dict[str, Any]:
    kinds = {kind: {"figures": part["figures"], "widening": part["widening"]} for kind, part in board["kinds"].items()}
    return {**{key: value for key, value in board.items() if key != "kinds"}, "kinds": kinds}


def _check(predictor: FleetPredictor, table: pd.DataFrame, board: str) -> list[dict[str, Any]]:
    """Return what the predictor says about the network that was kept apart, beside what was measured."""
    rows = table[
        (table["board"] == board) & (table["framework"] == newest(table, board, RUNTIME)) & (table["family"] == APART)
    ]
    checked = []
    for row in rows.to_dict("records"):
        model = Features(
            params_m=row["params_m"], gmacs=row["gmacs"], size_mb=row["size_mb"], quantized=bool(row["quantized"])
        )
        said = predictor.predict(model, board)
        checked.append(
            {
                "model": row["model"],
                "measured_mj": row["energy_mj"],
                "predicted_mj": said.energy_mj,
                "low_mj": said.low_mj,
                "high_mj": said.high_mj,
                "support": said.support,
            }
        )
    return checked


def _write(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=1, sort_keys=True, allow_nan=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
