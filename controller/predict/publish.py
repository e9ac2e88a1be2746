"""Writes what training found: predictor, thresholds, metadata, the baseline's pickles, and the manifest over them."""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd
import sklearn

from controller.predict import baseline
from controller.predict.challengers import contest
from controller.predict.features import Features
from controller.predict.margins import RUNTIME
from controller.predict.predictor import FILES, FleetPredictor
from controller.predict.rows import APART, newest, only, select, sets_in, stack
from controller.predict.rows import features as architecture
from controller.predict.train import Say

FEATURES = "device_specific_features.json"
"""Which features each pickled pair takes, and of which boards its rows are."""

TRAINED_ON = {
    "jetson": ("jetson_agx_xavier", "jetson_agx_orin"),
    "rpi5": ("firefly_rk3588s",),
    "unified": (),
}
"""Boards of each baseline; the RK3588S stands in for the Raspberry Pi 5, none stands for all of them."""


def write(
    document: Mapping[str, Any],
    table: pd.DataFrame,
    folder: Path,
    *,
    say: Say,
    trained_at: str | None = None,
    against: bool = True,
) -> None:
    """Write everything that training leaves into `folder`; `trained_at` goes into the metadata.

    With `against` the champion is compared with its challengers on the same folds, which takes most of the time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    boards, seed = document["boards"], document["seed"]
    _write(folder / FILES.predictor, document)
    _write(folder / FILES.thresholds, {name: board["percentiles_mj"] for name, board in boards.items()})
    say("the named baseline")
    _write(folder / FEATURES, {name: _baseline(name, table, folder, seed) for name in baseline.PAIRS})
    _write(folder / FILES.metadata, _metadata(document, table, say, against=against) | {"trained_at": trained_at})
    _seal(folder, [FILES.predictor, FILES.thresholds, FILES.metadata, FEATURES, *chain(*baseline.PAIRS.values())])


def amend(
    before: Path, document: Mapping[str, Any], folder: Path, *, trained_at: str, learned: Mapping[str, Any]
) -> None:
    """Write the predictor in the folder `before` with `document` instead of its own into the new `folder`.

    `learned` goes into the metadata; what training wrote beside them stays, and the manifest speaks of all of it.
    """
    manifest = json.loads((before / FILES.manifest).read_text("utf-8"))
    folder.mkdir(parents=True)
    for name in manifest:
        shutil.copyfile(before / name, folder / name)
    metadata = json.loads((before / FILES.metadata).read_text("utf-8"))
    _write(folder / FILES.predictor, document)
    _write(folder / FILES.metadata, metadata | {"trained_at": trained_at, "learned": dict(learned)})
    _seal(folder, list(manifest))


def _seal(folder: Path, names: Sequence[str]) -> None:
    _write(folder / FILES.manifest, {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names})


def _metadata(document: Mapping[str, Any], table: pd.DataFrame, say: Say, *, against: bool) -> dict[str, Any]:
    predictor = FleetPredictor(document)
    boards = {
        name: {**_about(board), "check": _check(predictor, table, name)} for name, board in document["boards"].items()
    }
    own = [name for name in sets_in(table) if name[1] == RUNTIME]
    return {
        "data": document["data"],
        "seed": document["seed"],
        "margins": document["margins"],
        "folds": "seen: ten folds, no architecture torn; family: every family left out once",
        "champion": "gaussian process",
        "contest": contest(only(stack(table), own), document["seed"], say) if against else {},
        "boards": boards,
    }


def _baseline(name: str, table: pd.DataFrame, folder: Path, seed: int) -> dict[str, Any]:
    boards = TRAINED_ON[name] or [board for board, runtime in sets_in(table) if runtime == RUNTIME]
    rows = pd.concat([select(table, board, RUNTIME)[0] for board in boards])
    models = [replace(architecture(row), latency_avg_s=row["latency_mean_ms"] / 1e3) for row in rows.to_dict("records")]
    baseline.save(name, baseline.fit(models, rows["energy_mj"].to_numpy(float), seed), folder)
    model, scaler = baseline.PAIRS[name]
    return {
        "model": model,
        "scaler": scaler,
        "features": list(baseline.NAMES),
        "unit": "mJ per inference",
        "boards": list(boards),
        "rows": len(models),
        "scikit_learn": sklearn.__version__,
    }


def _about(board: Mapping[str, Any]) -> dict[str, Any]:
    figures = ("figures", "per_family_mape_pct", "widening")
    kinds = {kind: {name: part[name] for name in figures} for kind, part in board["kinds"].items()}
    return {**{key: value for key, value in board.items() if key not in {"kinds", "names"}}, "kinds": kinds}


def _check(predictor: FleetPredictor, table: pd.DataFrame, board: str) -> list[dict[str, Any]]:
    """Return what the predictor says about the network that was kept apart, beside what was measured."""
    version = newest(table, board, RUNTIME)
    rows = table[(table["board"] == board) & (table["framework"] == version) & (table["family"] == APART)]
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


def _write(path: Path, document: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=1, sort_keys=True, allow_nan=False) + "\n", "utf-8")
