"""What `edgewatt predictors evaluate` says: the champion on rows it never saw, worked out then and there.

The published figures to beat are means over nine sets without names. These are the ten CPU sets of the rows less the
easiest one (Orin, Arm NN); the other three are shown beside them and enter no mean.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from controller.predict.evaluate import Held, folds, gaussian, held_out
from controller.predict.rows import Rows, Set, check, stack
from controller.predict.scores import Scores, mean, rounded, scores
from controller.predict.strangers import new_board

BESIDE = frozenset(
    {("jetson_agx_orin", "armnn-neon"), ("firefly_rk3588s", "armnn-opencl"), ("odroid_n2", "armnn-opencl")}
)
"""Sets that enter no mean: the easiest CPU one, and the two on a GPU."""

FIGURES = ("mape_percent", "median_ape_percent", "within_10_percent", "coverage_percent", "width_percent")
STRANGE = ("mape_percent", "median_ape_percent", "within_20_percent", "coverage_percent", "width_percent")
RUNS = (0, 5, 10, 20)

PUBLISHED = {
    "seen": dict(zip(FIGURES, (4.3, 3.4, 90.0, 97.9, 33.0), strict=True)),
    "unseen_family": {"mape_percent": 10.3},
    "new_board": {"mape_percent": 7.3, "within_20_percent": 95.0},
}
"""The best figures known for these rows before."""

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """Everything that was said about rows held out: by architecture, by family, and by board."""

    rows: Rows
    seen: Held
    unseen: Held
    strangers: dict[int, list[Scores]]

    @property
    def document(self) -> dict[str, Any]:
        """The figures, as JSON takes them: means over the nine sets, and each of those."""
        inside = [column for column, name in enumerate(self.rows.sets) if name not in BESIDE]
        return {
            "seen": rounded(mean([scores(self.seen, column) for column in inside], FIGURES)),
            "unseen_family": rounded(mean([scores(self.unseen, column) for column in inside], FIGURES)),
            "new_board": {
                str(k): rounded(mean([found[column] for column in inside], STRANGE))
                for k, found in self.strangers.items()
            },
            "per_set": [self.of_set(column) for column in inside],
        }

    def of_set(self, column: int) -> dict[str, Any]:
        """Return the figures of one board and runtime."""
        board, runtime = self.rows.sets[column]
        return {
            "board": board,
            "runtime": runtime,
            "rows": len(self.rows.y),
            "seen": rounded(scores(self.seen, column)),
            "unseen_family": rounded(scores(self.unseen, column)),
            "new_board": {str(k): rounded(found[column]) for k, found in self.strangers.items()},
        }


def assess(table: pd.DataFrame, say: Say) -> Assessment:
    """Return how the champion does on the sets of `table`; `say` is told what is being worked on."""
    rows = stack(check(table))
    say(f"{len(rows.sets)} sets of {len(rows.y)} networks: architectures left out")
    seen = held_out(rows, folds(rows.architecture), gaussian)
    say("families left out")
    unseen = held_out(rows, rows.family, gaussian)
    say("boards left out")
    return Assessment(rows=rows, seen=seen, unseen=unseen, strangers={k: new_board(rows, k) for k in RUNS})


def by_board(assessment: Assessment, held: Held) -> dict[str, float]:
    """Return the share of rows in percent whose interval held, for each board over its sets that enter the means."""
    inside: dict[str, list[Set]] = {}
    for name in assessment.rows.sets:
        if name not in BESIDE:
            inside.setdefault(name[0], []).append(name)
    columns = {board: [assessment.rows.sets.index(name) for name in names] for board, names in inside.items()}
    hit = np.abs(held.error) <= held.half
    return {board: float(hit[:, own].mean() * 100) for board, own in columns.items()}
