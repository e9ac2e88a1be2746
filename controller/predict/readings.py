"""Where measured rows come from: the tables that come with EdgeWatt, and files of the same columns or of benchmarks."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from broker.errors import InvalidError
from controller.models.shipped import DATA
from controller.predict import imported
from controller.predict.rows import COLUMNS, check

SHIPPED = ("measured_energy.csv", "networks.csv")
ROUND = r"^([^/]+)/"
BYTES = {0: 4.0, 1: 1.0}
"""Per parameter, in float and in integers: the weights as they are computed with."""


def _silent(_: str) -> None:
    pass


def read(
    files: Sequence[Path] = (), *, beside: bool = False, say: Callable[[str], None] = _silent
) -> tuple[pd.DataFrame, str]:
    """Return the rows of `files`, or of the tables that come with EdgeWatt when there are none, and their SHA-256.

    With `beside` the rows of `files` come after those of the tables: of repeated ones the last counts. `say` is told
    how many rows of a file of benchmarks cannot be learned from, and why.
    InvalidError names the file, and the column or row in it, that cannot be used.
    """
    ours = [DATA / name for name in SHIPPED] if beside or not files else []
    paths = [*ours, *files]
    digest = hashlib.sha256()
    for path in paths:
        digest.update(_bytes(path))
    tables = [*([shipped()] if ours else []), *(_table(path, say) for path in files)]
    return pd.concat(tables, ignore_index=True), digest.hexdigest()


def shipped() -> pd.DataFrame:
    """Return the rows that come with EdgeWatt, each with the architecture of its network."""
    measured, networks = (pd.read_csv(DATA / name) for name in SHIPPED)
    table = measured.merge(networks, on="model", validate="many_to_one")
    table["round"] = table["source"].str.extract(ROUND, expand=False)
    table["size_mb"] = table["params_m"] * table["quantized"].map(BYTES)
    return check(table)


def _table(path: Path, say: Callable[[str], None]) -> pd.DataFrame:
    try:
        table = pd.read_csv(path)
        if not imported.is_of_benchmarks(table):
            return check(table)
        found = imported.learnable(table)
        for reason, rows in found.left_out.items():
            say(f"{path.name}: {rows} of {len(table)} rows left out: {reason}")
        return check(found.table)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InvalidError(
            f"{path} is no table: {error}", hint=f"CSV with the columns {', '.join(COLUMNS)}", field="data"
        ) from None
    except InvalidError as error:
        raise InvalidError(f"{path}: {error.message}", hint=error.hint, **error.facts) from None


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidError(f"cannot read {path}: {error.strerror}", field="data") from None
