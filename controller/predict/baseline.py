"""The named baseline: gradient boosting and a standard scaler on twelve features, measured latency among them.

It is kept to be beaten, and for those who expect its files. Energy is power times latency, so a measured latency nearly
gives the answer away: it cannot speak for a board before anything ran there. The champion never loads it.
"""

import hashlib
import io
import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.preprocessing import StandardScaler

from broker.errors import ArtifactError, InvalidError
from controller.models.shipped import ARTIFACTS
from controller.predict.features import Features, derived
from controller.predict.predictor import FILES
from controller.predict.process import Floats

NAMES = (
    *("params_m", "gflops", "gmacs", "size_mb", "latency_avg_s", "throughput_iter_per_s"),
    *("gflops_per_param", "gmacs_per_mb", "latency_throughput_ratio", "compute_intensity"),
    *("model_complexity", "computational_density"),
)
"""The twelve features, in the order of the columns."""

PAIRS = {
    "jetson": ("jetson_energy_model.pkl", "jetson_scaler.pkl"),
    "rpi5": ("rpi5_energy_model.pkl", "rpi5_scaler.pkl"),
    "unified": ("energy_predictor.pkl", "energy_scaler.pkl"),
}
"""The files of each: model and scaler."""

SEED = 0
COMPRESSION = 9


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A fitted model with its scaler; answers mJ per inference."""

    model: Any
    scaler: Any

    def predict(self, models: Sequence[Features]) -> Floats:
        """Return mJ per inference of each of `models`, which must have a latency; InvalidError otherwise."""
        return np.asarray(self.model.predict(self.scaler.transform(matrix(models))), np.float64)


def matrix(models: Sequence[Features]) -> Floats:
    """Return the twelve features of each of `models`; throughput is one over the latency where it was not counted."""
    return np.array([_twelve(model) for model in models], np.float64).reshape(len(models), len(NAMES))


def fit(models: Sequence[Features], energy_mj: Floats, seed: int = SEED) -> Baseline:
    """Return the baseline fitted to `energy_mj` of `models`."""
    x = matrix(models)
    scaler = StandardScaler().fit(x)
    return Baseline(
        model=GradientBoostingRegressor(random_state=seed).fit(scaler.transform(x), energy_mj), scaler=scaler
    )


def save(name: str, fitted: Baseline, folder: Path) -> None:
    """Write `fitted` under the names that `PAIRS` gives it."""
    for file, part in zip(PAIRS[name], (fitted.model, fitted.scaler), strict=True):
        joblib.dump(part, folder / file, compress=COMPRESSION)


def load(name: str, folder: Path = ARTIFACTS) -> Baseline:
    """Return the baseline `name`, a key of `PAIRS`.

    Its files are pickles, so nothing is read from them before the manifest's SHA-256 matched: ArtifactError otherwise,
    and when another version of scikit-learn wrote them than is installed.
    """
    try:
        manifest = json.loads((folder / FILES.manifest).read_text("utf-8"))
        contents = [(file, (folder / file).read_bytes()) for file in PAIRS[name]]
    except OSError as error:
        raise ArtifactError(f"cannot read {error.filename}: {error.strerror}", hint="train again") from None
    for file, content in contents:
        if hashlib.sha256(content).hexdigest() != manifest.get(file):
            raise ArtifactError(f"{folder / file} is not the file that training wrote", hint="train again")
    with warnings.catch_warnings():
        warnings.simplefilter("error", InconsistentVersionWarning)
        try:
            model, scaler = (joblib.load(io.BytesIO(content)) for _, content in contents)
        except InconsistentVersionWarning as error:
            wrote, here = error.original_sklearn_version, error.current_sklearn_version
            raise ArtifactError(
                f"scikit-learn {wrote} wrote the baseline, {here} is here", hint="train again"
            ) from None
    return Baseline(model=model, scaler=scaler)


def _twelve(model: Features) -> list[float]:
    if model.latency_avg_s is None:
        raise InvalidError(
            "the baseline needs latency_avg_s",
            hint="measure it on the device, or ask the champion",
            field="latency_avg_s",
        )
    throughput = model.throughput_iter_per_s or 1 / model.latency_avg_s
    ratios = derived(model) | {"latency_throughput_ratio": model.latency_avg_s * throughput}
    given = {
        "params_m": model.params_m,
        "gflops": model.gflops,
        "gmacs": model.gmacs,
        "size_mb": model.size_mb,
        "latency_avg_s": model.latency_avg_s,
        "throughput_iter_per_s": throughput,
    }
    known = given | ratios
    return [known[name] for name in NAMES]
