"""Trains a predictor for each measured board: `python -m controller.predict.train --data mlperf_edge_energy.csv`.

The same data gives the same files. ResNet-50, the only dense network, is kept apart as a check far outside.
"""

import argparse
import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import nnls  # type: ignore[import-untyped]  # comes with scikit-learn, without stubs

from controller.models.shipped import ARTIFACTS
from controller.predict.boards import MEASURED_BOARDS
from controller.predict.evaluate import LEVEL, Rows, conformal, coverage, fit, folds, out_of_fold, widening
from controller.predict.features import Features
from controller.predict.predictor import FILES, FleetPredictor
from controller.predict.process import Floats
from controller.predict.support import ranges
from controller.predict.vectors import NAMES, Kind, matrix, work

RUNTIME = "tflite"
FRAMEWORKS = {
    "raspberry_pi_4": "TFLite v2.7.1 (ruy)",
    "firefly_rk3588s": "TFLite v2.11.0 (ruy)",
    "odroid_n2": "TFLite v2.7.1 (ruy)",
    "jetson_agx_xavier": "TFLite v2.7.1 (ruy)",
    "jetson_agx_orin": "TFLite v2.7.1 (ruy)",
}
"""The newest version with every network, on CPU: energy moves with it, so versions are never pooled."""

APART = "resnet50"
PERCENTILES = (10, 25, 50, 75, 90)
MAX_CONTRADICTION = 0.05
"""Energy is power times latency; a row that is off by more is wrong somewhere."""


def train(table: pd.DataFrame, data_sha256: str) -> dict[str, Any]:
    """Return the whole of energy_predictor.json for the measured rows in `table`."""
    return {
        "version": 1,
        "unit": "mJ per inference",
        "level": LEVEL,
        "data": {"source": "MLPerf Inference v1.0-v3.0 (MLCommons, Apache-2.0)", "sha256": data_sha256},
        "margins": {"runtime_version": _version_margin(table), "other_board": _board_margin(table)},
        "boards": {board: train_board(table, board) for board in MEASURED_BOARDS},
    }


def train_board(table: pd.DataFrame, board: str) -> dict[str, Any]:
    """Return the part of one board: two Gaussian processes, the additive costs, its power, and how well they do."""
    rows, rejected = select(table, board)
    models = [features(row) for row in rows.to_dict("records")]
    energy_mj = rows["energy_mj"].to_numpy(float)
    return {
        "runtime": RUNTIME,
        "framework": FRAMEWORKS[board],
        "rows": len(rows),
        "architectures": int(rows["arch_key"].nunique()),
        "families": sorted(rows["family"].unique()),
        "rejected": rejected,
        "range": ranges(models),
        "percentiles_mj": {f"P{p}": round(float(np.percentile(energy_mj, p)), 4) for p in PERCENTILES},
        "cost": {"float": _additive(rows, models, quantized=False), "int8": _additive(rows, models, quantized=True)},
        "cheapest_mj": {
            "float": float(energy_mj[rows["quantized"] == 0].min()),
            "int8": float(energy_mj[rows["quantized"] == 1].min()),
        },
        "power": _power(rows),
        "kinds": {kind: _kind(kind, rows, models) for kind in NAMES},
    }


def select(table: pd.DataFrame, board: str) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return the rows that a board's predictor learns from, and how many were left out for which reason."""
    rows = table[table["board"] == board]
    steps = {
        "another runtime": rows["runtime"] != RUNTIME,
        "another version": rows["framework"] != FRAMEWORKS[board],
        f"{APART}, kept apart": rows["family"] == APART,
        "energy contradicts power and latency": _contradiction(rows) > MAX_CONTRADICTION,
        "repeated": rows.duplicated(["runtime", "framework", "model"], keep="last"),
    }
    rejected, kept = {}, pd.Series(data=True, index=rows.index)
    for reason, wrong in steps.items():
        rejected[reason] = int((kept & wrong).sum())
        kept &= ~wrong
    return rows[kept].sort_values("model"), rejected


def features(row: dict[str, Any]) -> Features:
    """Return the architecture of one measured row."""
    return Features(
        params_m=row["params_m"],
        gmacs=row["gmacs"],
        size_mb=row["size_mb"],
        macts_m=row["macts_m"],
        input_res=int(row["input_res"]),
        quantized=bool(row["quantized"]),
        dw_gmacs=row["dw_macs_g"],
        n_convs=int(row["n_convs"]),
    )


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


def _kind(kind: Kind, rows: pd.DataFrame, models: list[Features]) -> dict[str, Any]:
    data = Rows(
        x=matrix(kind, models),
        y=np.log(rows["energy_mj"].to_numpy(float)),
        architecture=rows["arch_key"].to_numpy(str),
        family=rows["family"].to_numpy(str),
    )
    figures: dict[str, float] = {}
    for prefix, groups in (("", folds(data.architecture)), ("family_", data.family)):
        apart, _ = out_of_fold(data, groups)
        error = np.abs(np.expm1(-apart)) * 100
        held, width = coverage(data, groups)
        figures |= {
            f"{prefix}mape_pct": round(float(error.mean()), 1),
            f"{prefix}median_ape_pct": round(float(np.median(error)), 1),
            f"{prefix}within_10_pct": round(float((error <= 10).mean() * 100), 1),  # noqa: PLR2004  # as named
            f"{prefix}coverage_pct": round(float(held.mean() * 100), 1),
            f"{prefix}width_pct": round(float(width.mean() * 100), 1),
        }
    return {"process": fit(data).document, "widening": widening(data), "figures": figures}


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
        "half_width": conformal(np.abs(error)),
        "mape_pct": round(float(np.abs(np.expm1(-error)).mean() * 100), 1),
        "latency_s": [float(latency_s.min()), float(latency_s.max())],
    }


def _contradiction(rows: pd.DataFrame) -> pd.Series:
    ratio = rows["energy_mj"] / (rows["power_mean_w"] * rows["latency_mean_ms"])
    return (ratio - 1).abs()


def _version_margin(table: pd.DataFrame) -> float:
    """Return the largest median |log ratio| between two versions of the runtime on the same board."""
    shifts = []
    for board, newest in FRAMEWORKS.items():
        own = _medians(table, board)
        for quantized in (0, 1):
            part = own.xs(quantized, level="quantized")
            versions = {name: part.xs(name, level="framework") for name in part.index.unique("framework")}
            shifts += [
                float(np.log(versions[newest] / other).abs().median())
                for name, other in versions.items()
                if name != newest
            ]
    return max(shift for shift in shifts if math.isfinite(shift))


def _board_margin(table: pd.DataFrame) -> float:
    """Return the 95th percentile of |log ratio| to the most similar other board, for the board where it is largest."""
    newest = pd.DataFrame({b: _medians(table, b).xs(f, level="framework") for b, f in FRAMEWORKS.items()})
    logs: Floats = np.log(newest.dropna().to_numpy(float))
    gaps = np.abs(logs[:, :, None] - logs[:, None, :])
    likeness = np.median(gaps, axis=0) + np.diag(np.full(len(FRAMEWORKS), np.inf))
    worst = np.percentile(gaps, 95, axis=0)
    return max(float(worst[i, likeness[i].argmin()]) for i in range(len(FRAMEWORKS)))


def _medians(table: pd.DataFrame, board: str) -> pd.Series:
    rows = table[(table["board"] == board) & (table["runtime"] == RUNTIME) & (table["family"] != APART)]
    return rows.groupby(["model", "quantized", "framework"])["energy_mj"].median()


def _about(board: dict[str, Any]) -> dict[str, Any]:
    kinds = {kind: {"figures": part["figures"], "widening": part["widening"]} for kind, part in board["kinds"].items()}
    return {**{key: value for key, value in board.items() if key != "kinds"}, "kinds": kinds}


def _check(predictor: FleetPredictor, table: pd.DataFrame, board: str) -> list[dict[str, Any]]:
    """Return what the predictor says about the network that was kept apart, beside what was measured."""
    rows = table[(table["board"] == board) & (table["framework"] == FRAMEWORKS[board]) & (table["family"] == APART)]
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
