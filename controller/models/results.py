"""What timm publishes of its weights: ImageNet top-1 and multiply-adds, read from its table of results."""

import csv
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from broker.errors import InvalidError

COLUMNS = ("model", "arch", "img_size", "top1", "gmacs", "gmacs_at_eval_size")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Weights of timm, `architecture.tag`, evaluated at a size: top-1 in % and 10^9 multiply-adds at that size."""

    weights: str
    side: int
    top1_pct: float | None
    gmacs: float | None

    @property
    def source(self) -> str:
        """Where the figures stand, as rows of data/models.csv name it."""
        return f"timm results, {self.weights} at {self.side}"


Results = Mapping[str, list[Result]]
"""Results by architecture."""


def read(path: Path) -> Results:
    """Return the results in the table at `path`. Raises InvalidError naming what is wrong with it."""
    found: dict[str, list[Result]] = defaultdict(list)
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            missing = [column for column in COLUMNS if column not in (rows.fieldnames or ())]
            if missing:
                raise InvalidError(f"{path.name} lacks the column {missing[0]}", hint="timm's results, one row a size")
            for row in rows:
                found[row["arch"]].append(_result(row))
    except OSError as error:
        raise InvalidError(f"cannot read {path}: {error.strerror}", hint="--results names timm's table") from None
    except ValueError as error:
        raise InvalidError(f"{path.name}, line {rows.line_num}: {error}", hint="timm's results") from None
    return found


def best(results: Results, architecture: str, side: int, weights: Collection[str]) -> Result | None:
    """Return the most accurate of `weights` that was evaluated at `side`; None where none was."""
    measured = [
        each
        for each in results.get(architecture, ())
        if each.side == side and each.top1_pct is not None and each.weights in weights
    ]
    return max(measured, key=lambda each: (each.top1_pct or 0, each.weights), default=None)


def untrained(results: Results, architecture: str, side: int) -> Result | None:
    """Return a result of an architecture without weights at `side`: its multiply-adds; None where there is none."""
    return next((each for each in results.get(architecture, ()) if each.side == side and each.gmacs), None)


def _result(row: Mapping[str, str]) -> Result:
    own_size = row["gmacs_at_eval_size"] == "True"
    return Result(
        weights=row["model"],
        side=int(row["img_size"]),
        top1_pct=float(row["top1"]) if row["top1"] else None,
        gmacs=float(row["gmacs"]) if row["gmacs"] and own_size else None,
    )
