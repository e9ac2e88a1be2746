"""Measures predictions: one warm, a thousand at once, loading; and against the row-by-row way on the same model.

That way builds a frame for each row, scales it and predicts it, as notebooks do; here with the baseline,
whose answers at once are measured beside it: that ratio is of the way and not of the model.
"""

import json
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from controller.predict.features import Features
from controller.predict.predictor import FleetPredictor

if TYPE_CHECKING:
    from controller.predict.baseline import Baseline

ROUNDS = 200
BATCH = 1000
ROW_BY_ROW = 50
COLD_ROUNDS = 7
BOARD = "raspberry_pi_4"
SINGLE_BUDGET_MS, BATCH_BUDGET_PER_S, LOAD_BUDGET_MS = 1.0, 50_000.0, 300.0
LOAD = "import time; t = time.perf_counter(); {}; print(time.perf_counter() - t)"
BARE = "import json, numpy"
OURS = "from controller.predict.predictor import FleetPredictor; FleetPredictor.load()"


def median_s(work: Callable[[], object], rounds: int) -> float:
    """Return the median wall time of `work` in seconds, after one warm-up."""
    work()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def cold_s(statement: str) -> float:
    """Return the median time of `statement` in fresh interpreters, in seconds."""
    runs = (
        subprocess.run([sys.executable, "-c", LOAD.format(statement)], capture_output=True, text=True, check=True)
        for _ in range(COLD_ROUNDS)
    )
    return statistics.median(float(run.stdout) for run in runs)


def models(count: int) -> list[Features]:
    """Return `count` different networks inside the measured range."""
    draw = np.random.default_rng(0)
    return [
        Features(
            params_m=gmacs * 8,
            gmacs=gmacs,
            size_mb=gmacs * 32,
            macts_m=gmacs * 12,
            input_res=224,
            dw_gmacs=gmacs / 20,
            n_convs=40,
        )
        for gmacs in draw.uniform(0.06, 0.6, count).tolist()
    ]


def row_by_row(fitted: "Baseline", rows: list[list[float]]) -> list[float]:
    """Return a prediction for each of `rows` through a frame of its own."""
    import pandas as pd  # noqa: PLC0415 - after our own was measured, which loads neither

    from controller.predict import baseline  # noqa: PLC0415

    answers = []
    for row in rows:
        frame = pd.DataFrame([row], columns=list(baseline.NAMES))
        answers.append(float(fitted.model.predict(fitted.scaler.transform(frame))[0]))
    return answers


def main() -> None:
    """Print a row of the table for each figure."""
    warnings.filterwarnings("ignore", message="X has feature names")  # the row-by-row way names its columns
    predictor = FleetPredictor.load()
    one, many = models(1)[0], models(BATCH)
    single = median_s(lambda: predictor.predict(one, BOARD), ROUNDS)
    batch = BATCH / median_s(lambda: predictor.predict_many(many, BOARD), ROUNDS // 4)
    from controller.predict import baseline  # noqa: PLC0415 - only now: predictions do without scikit-learn

    cold, bare = cold_s(OURS), cold_s(BARE)
    timed = [replace(model, latency_avg_s=0.03) for model in many]
    fitted = baseline.fit(timed, np.array([model.gmacs for model in many]))
    rows = baseline.matrix(timed[:ROW_BY_ROW]).tolist()
    slow = ROW_BY_ROW / median_s(lambda: row_by_row(fitted, rows), 5)
    quick = BATCH / median_s(lambda: fitted.predict(timed), 20)
    by_row, at_once = f"row by row {1e3 / slow:.2f} ms", f"row by row {slow:.0f}"
    tell("one prediction, warm", (single * 1e3, "ms"), (by_row, 1 / slow / single), SINGLE_BUDGET_MS)
    tell(f"{BATCH} predictions at once", (batch, "per s"), (at_once, batch / slow), BATCH_BUDGET_PER_S)
    tell("baseline, the same model at once", (quick, "per s"), (at_once, quick / slow))
    tell("import and load, cold", (cold * 1e3, "ms"), (f"json, numpy {bare * 1e3:.0f} ms", cold / bare), LOAD_BUDGET_MS)


def tell(name: str, figure: tuple[float, str], against: tuple[str, float], budget: float | None = None) -> None:
    """Print one figure with its unit, and its ratio to what it is held against; rates must exceed the budget."""
    value, unit = figure
    row = {"name": name, "value": round(value, 3), "unit": unit, "reference": against[0], "ratio": round(against[1], 1)}
    if budget is not None:
        row |= {"budget": budget, "met": value >= budget if unit == "per s" else value <= budget}
    print(json.dumps(row))


if __name__ == "__main__":
    main()
