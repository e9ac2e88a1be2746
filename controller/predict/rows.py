"""Measured rows as predictors learn from them: chosen, checked, and laid beside one another board by board."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from broker.errors import InvalidError
from controller.predict.features import Features
from controller.predict.process import Floats
from controller.predict.vectors import Kind, matrix

APART = "resnet50"
"""The only dense network: kept apart as a check far outside, or it alone sets the width of every interval."""

MAX_CONTRADICTION = 0.05
"""Energy is power times latency; a row that is off by more is wrong somewhere."""

COLUMNS = (
    *("board", "runtime", "framework", "round", "model", "arch_key", "family", "input_res", "quantized"),
    *("params_m", "gmacs", "macts_m", "dw_macs_g", "n_convs", "size_mb"),
    *("latency_mean_ms", "power_mean_w", "energy_mj"),
)

Groups = NDArray[np.str_]
Set = tuple[str, str]
"""A board and a runtime on it."""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Networks measured on several sets: features `x` one row a network, logs of mJ `y` one column a set.

    `latency_s` are the mean latencies measured with them; `architecture` and `family` are the groups that must not be
    torn apart.
    """

    models: tuple[Features, ...]
    x: Floats
    y: Floats
    latency_s: Floats
    sets: tuple[Set, ...]
    names: Groups
    architecture: Groups
    family: Groups

    def __getitem__(self, chosen: NDArray[np.bool_]) -> "Rows":
        """Return the `chosen` networks."""
        return Rows(
            models=tuple(m for m, wanted in zip(self.models, chosen.tolist(), strict=True) if wanted),
            x=self.x[chosen],
            y=self.y[chosen],
            latency_s=self.latency_s[chosen],
            sets=self.sets,
            names=self.names[chosen],
            architecture=self.architecture[chosen],
            family=self.family[chosen],
        )


def check(table: pd.DataFrame) -> pd.DataFrame:
    """Return `table` when it has every column and only positive energies; InvalidError names what is wrong."""
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise InvalidError(f"the rows lack the column {missing[0]}", hint="see data/README.md", field=missing[0])
    wrong = ~(pd.to_numeric(table["energy_mj"], errors="coerce") > 0)
    if wrong.any():
        raise InvalidError(
            f"energy_mj in row {int(wrong.to_numpy().argmax()) + 2} is no positive number",
            hint="mJ per inference; leave a row out rather than empty",
            field="energy_mj",
        )
    return table


def newest(table: pd.DataFrame, board: str, runtime: str) -> str:
    """Return the newest version of `runtime` on `board` with which nearly every network was measured."""
    rows = table[(table["board"] == board) & (table["runtime"] == runtime) & (table["family"] != APART)]
    versions = rows.groupby("framework").agg(networks=("model", "nunique"), round=("round", "max")).reset_index()
    whole = versions[versions["networks"] >= 0.9 * versions["networks"].max()]  # nearly every
    return str(whole.sort_values(["round", "framework"])["framework"].iloc[-1])


def select(table: pd.DataFrame, board: str, runtime: str) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return the rows that a set's predictor learns from, and how many were left out for which reason."""
    rows = table[table["board"] == board]
    steps = {
        "another runtime": rows["runtime"] != runtime,
        "another version": rows["framework"] != newest(table, board, runtime),
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


def only(rows: Rows, wanted: Sequence[Set]) -> Rows:
    """Return `rows` with the columns of the `wanted` sets."""
    columns = [rows.sets.index(name) for name in wanted]
    return replace(rows, y=rows.y[:, columns], latency_s=rows.latency_s[:, columns], sets=tuple(wanted))


def sets_in(table: pd.DataFrame) -> list[Set]:
    """Return every board and runtime that most networks were measured on, in alphabetical order.

    The networks that count are those measured on at least half as many sets as the most measured one: a board with a
    hundred of its own shares nothing with the others, and cannot be laid beside them.
    """
    measured = table[table["family"] != APART].groupby(["board", "runtime"])["model"].agg(set)
    on = Counter(model for models in measured for model in models)
    shared = {model for model, sets in on.items() if sets >= max(on.values()) / 2}
    counts = {(str(board), str(runtime)): len(models & shared) for (board, runtime), models in measured.items()}
    return [name for name, n in counts.items() if n >= max(counts.values()) / 2]


def stack(table: pd.DataFrame, kind: Kind = "full") -> Rows:
    """Return the networks measured on all of `sets_in(table)`, each set's newest version beside the others."""
    sets = sets_in(table)
    columns = {name: select(table, *name)[0].set_index("model") for name in sets}
    common = sorted(set.intersection(*(set(rows.index) for rows in columns.values())))
    first = columns[sets[0]].loc[common].reset_index()
    models = tuple(features(row) for row in first.to_dict("records"))
    return Rows(
        models=models,
        x=matrix(kind, models),
        y=np.log(np.column_stack([_column(columns[name], common, "energy_mj") for name in sets])),
        latency_s=np.column_stack(
            [columns[name].loc[common, "latency_mean_ms"].to_numpy(float) / 1e3 for name in sets]
        ),
        sets=tuple(sets),
        names=first["model"].to_numpy(str),
        architecture=first["arch_key"].to_numpy(str),
        family=first["family"].to_numpy(str),
    )


def _column(rows: pd.DataFrame, models: list[str], name: str) -> Floats:
    return np.asarray(rows.loc[models, name].to_numpy(float), np.float64)


def _contradiction(rows: pd.DataFrame) -> pd.Series:
    ratio = rows["energy_mj"] / (rows["power_mean_w"] * rows["latency_mean_ms"])
    return (ratio - 1).abs()
