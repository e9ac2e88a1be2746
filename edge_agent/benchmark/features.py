"""Looks up what is known of a network by its name in a CSV file, for models whose file does not say it."""

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from broker.errors import InvalidError

VARIANTS = ("-int8", "-fp16")
"""Endings of names of the same network in other numbers: it has the same parameters and multiply-adds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Parameters in millions, multiply-adds in 10^9, side of the square input; None is unknown."""

    params_m: float | None = None
    gmacs: float | None = None
    input_res: int | None = None


Features = Mapping[str, Known]


def read(path: Path) -> Features:
    """Return the networks in a CSV file with a column `name` or `model`, and any of `params_m`, `gmacs`, `input_res`.

    Raises InvalidError (`bad_features`) for a file that is none.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidError(f"cannot read {path}: {error}", code="bad_features") from None
    column = next((name for name in ("name", "model") if rows and name in rows[0]), None)
    if column is None:
        raise InvalidError(f"{path} has no column 'name' or 'model'", code="bad_features")
    return {row[column]: _known(row) for row in rows if row[column]}


def find(features: Features, model: str) -> Known:
    """Return what is known of `model`, or of the network that it is a variant of."""
    base = next((model.removesuffix(ending) for ending in VARIANTS if model.endswith(ending)), model)
    return features.get(model) or features.get(base) or Known()


def _known(row: Mapping[str, str]) -> Known:
    input_res = _number(row.get("input_res"))
    return Known(
        params_m=_number(row.get("params_m")),
        gmacs=_number(row.get("gmacs")),
        input_res=None if input_res is None else round(input_res),
    )


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None
