"""Measures predictions: one warm, a thousand at once, a cold load; beside a bare numpy product in the same run.

`python benchmarks/predict.py` prints a table, then one line of JSON. Budgets: one warm <= 1 ms, a thousand at
>= 50,000 a second.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

from controller.predict.features import Features
from controller.predict.predictor import FleetPredictor

ROUNDS = 200
BATCH = 1000
COLD_ROUNDS = 5
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


def main() -> None:
    """Print the table and the JSON."""
    predictor = FleetPredictor.load()
    one, many = models(1)[0], models(BATCH)
    points, inverse = np.ones((BATCH, 94)), np.ones((94, 94))
    single = median_s(lambda: predictor.predict(one, "raspberry_pi_4"), ROUNDS)
    batch = median_s(lambda: predictor.predict_many(many, "raspberry_pi_4"), ROUNDS // 10)
    bare_single = median_s(lambda: points[:1] @ inverse, ROUNDS)
    bare_batch = median_s(lambda: points @ inverse, ROUNDS // 10)
    cold, bare_cold = cold_s(OURS), cold_s(BARE)
    rows = [
        ("one prediction, warm", single * 1e3, bare_single * 1e3, "ms", "one row times 94x94"),
        (f"{BATCH} predictions at once", batch * 1e3, bare_batch * 1e3, "ms", f"{BATCH} rows times 94x94"),
        ("import and load, cold", cold * 1e3, bare_cold * 1e3, "ms", "import json, numpy"),
    ]
    for name, ours, bare, unit, what in rows:
        print(f"{name:28} {ours:9.3f} {unit}   bare {bare:9.3f} {unit}   ratio {ours / bare:7.1f}   ({what})")
    print(
        json.dumps(
            {
                "single_ms": single * 1e3,
                "batch_per_s": BATCH / batch,
                "cold_ms": cold * 1e3,
                "bare_cold_ms": bare_cold * 1e3,
            }
        )
    )


if __name__ == "__main__":
    main()
