"""Measures predictions: one, many, the frontier of the catalogue, loading; and against the row-by-row way on one model.

That way builds a frame for each row, scales it and predicts it, as notebooks do; here with the baseline,
whose answers at once are measured beside it: that ratio is of the way and not of the model.
Answers are kept, so each round asks for networks of its own but where it says `again`.
"""

import http.client
import itertools
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks._nginx import free_port, running
from controller.models.catalog import Catalogue
from controller.models.listed import load as listed
from controller.models.store import ArtifactStore
from controller.predict.features import Features
from controller.predict.predictor import FleetPredictor
from controller.predict.survey import survey

if TYPE_CHECKING:
    from controller.predict.baseline import Baseline

ROUNDS = 200
BATCH, LARGE = 1_000, 100_000
ROW_BY_ROW = 50
COLD_ROUNDS = 7
BOARD = "raspberry_pi_4"
BOARDS = ("raspberry_pi_4", "raspberry_pi_5", "firefly_rk3588s", "jetson_agx_orin", "jetson_agx_xavier", "odroid_n2")
SINGLE_BUDGET_MS, BATCH_BUDGET_PER_S, LOAD_BUDGET_MS, FRONTIER_BUDGET_MS = 1.0, 50_000.0, 300.0, 100.0
LARGE_BUDGET_MB = 250.0
JSON = {"Content-Type": "application/json"}
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


SEEDS = itertools.count()


def models(count: int) -> list[Features]:
    """Return `count` networks inside the measured range, each time others."""
    draw = np.random.default_rng(next(SEEDS))
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
    known, others = models(1)[0], iter(models(ROUNDS + 1))
    single = median_s(lambda: predictor.predict(next(others), BOARD), ROUNDS)
    again = median_s(lambda: predictor.predict(known, BOARD), ROUNDS)
    batches = iter([models(BATCH) for _ in range(ROUNDS // 4 + 1)])
    batch = BATCH / median_s(lambda: predictor.predict_many(next(batches), BOARD), ROUNDS // 4)
    large, large_mb = at_once(predictor, models(LARGE))
    first, warm, all_boards = frontiers(predictor)
    from controller.predict import baseline  # noqa: PLC0415 - only now: predictions do without scikit-learn

    cold, bare = cold_s(OURS), cold_s(BARE)
    timed = [replace(model, latency_avg_s=0.03) for model in models(BATCH)]
    fitted = baseline.fit(timed, np.array([model.gmacs for model in timed]))
    rows = baseline.matrix(timed[:ROW_BY_ROW]).tolist()
    slow = ROW_BY_ROW / median_s(lambda: row_by_row(fitted, rows), 5)
    quick = BATCH / median_s(lambda: fitted.predict(timed), 20)
    by_row, at_once_by_row = f"row by row {1e3 / slow:.2f} ms", f"row by row {slow:.0f}"
    tell("one prediction, warm", (single * 1e3, "ms"), (by_row, 1 / slow / single), SINGLE_BUDGET_MS)
    tell("one prediction, asked again", (again * 1e3, "ms"), (f"new {single * 1e3:.2f} ms", single / again))
    tell(f"{BATCH} predictions at once", (batch, "per s"), (at_once_by_row, batch / slow), BATCH_BUDGET_PER_S)
    tell(f"{LARGE} predictions at once", (large, "per s"), (at_once_by_row, large / slow), BATCH_BUDGET_PER_S)
    each_kb = large_mb * 1e3 / LARGE
    tell(f"memory of {LARGE} predictions", (large_mb, "MB"), (f"{each_kb:.2f} kB each", None), LARGE_BUDGET_MB)
    tell("baseline, the same model at once", (quick, "per s"), (at_once_by_row, quick / slow))
    tell("import and load, cold", (cold * 1e3, "ms"), (f"json, numpy {bare * 1e3:.0f} ms", cold / bare), LOAD_BUDGET_MS)
    networks = len(listed())
    by_rows = (f"row by row {networks / slow * 1e3:.0f} ms", networks / slow / warm)
    tell(f"frontier of {networks} networks on a board", (warm * 1e3, "ms"), by_rows, FRONTIER_BUDGET_MS)
    tell("the first time", (first * 1e3, "ms"), (f"then {warm * 1e3:.0f} ms", first / warm))
    one_board = (f"one {warm * 1e3:.0f} ms", all_boards / warm)
    tell(f"frontier of {networks} networks on {len(BOARDS)} boards", (all_boards * 1e3, "ms"), one_board)
    over_rest(batch, warm)


def at_once(predictor: FleetPredictor, many: list[Features]) -> tuple[float, float]:
    """Return how many a second, and by how many MB the most that the process ever held has grown."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    said = predictor.predict_many(many, BOARD)
    took_s = time.perf_counter() - start
    return len(said) / took_s, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / 1e6


def frontiers(predictor: FleetPredictor) -> tuple[float, float, float]:
    """Return how long the frontier of the catalogue takes: the first time, again, and again on all boards."""
    with tempfile.TemporaryDirectory() as folder:
        everything = Catalogue(ArtifactStore(Path(folder)), listed=listed()).everything()
        start = time.perf_counter()
        survey(everything, predictor, BOARD, [])
        first = time.perf_counter() - start
        warm = median_s(lambda: survey(everything, predictor, BOARD, []), 9)
        return first, warm, median_s(lambda: [survey(everything, predictor, board, []) for board in BOARDS], 5)


def over_rest(batch: float, warm: float) -> None:
    """Print what the same costs over REST."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        server = [sys.executable, "-m", "benchmarks._predict_server", folder, str(port)]
        bodies = iter([_bodies() for _ in range(10)])
        with running(server, port):
            door = http.client.HTTPConnection("127.0.0.1", port)
            one = median_s(lambda: asked(door, "POST", "/api/predict-energy", next(bodies)), 9)
            frontier = median_s(lambda: asked(door, "GET", f"/api/models/pareto?device_type={BOARD}&listed=1"), 9)
    tell(f"{BATCH} predictions over REST", (BATCH / one, "per s"), (f"in process {batch:.0f}", BATCH / one / batch))
    within = (f"in process {warm * 1e3:.0f} ms", frontier / warm)
    tell("frontier of the networks over REST", (frontier * 1e3, "ms"), within, FRONTIER_BUDGET_MS)


def _bodies() -> str:
    told = ({k: v for k, v in asdict(model).items() if v is not None} for model in models(BATCH))
    return json.dumps([each | {"device_type": BOARD} for each in told])


def asked(door: http.client.HTTPConnection, method: str, path: str, body: str | None = None) -> None:
    """Ask and read the answer; refuses any but a good one."""
    door.request(method, path, body, JSON)
    answer = door.getresponse()
    if answer.status != http.client.OK:
        raise SystemExit(f"{path} answers {answer.status}: {answer.read()[:200]!r}")
    answer.read()


def tell(name: str, figure: tuple[float, str], against: tuple[str, float | None], budget: float | None = None) -> None:
    """Print one figure with its unit, and its ratio to what it is held against; rates must exceed the budget."""
    value, unit = figure
    reference, ratio = against
    row: dict[str, object] = {"name": name, "value": round(value, 3), "unit": unit, "reference": reference}
    row |= {} if ratio is None else {"ratio": round(ratio, 1)}
    if budget is not None:
        row |= {"budget": budget, "met": value >= budget if unit == "per s" else value <= budget}
    print(json.dumps(row))


if __name__ == "__main__":
    main()
