"""Turns rows of benchmarks into rows that predictors learn from; those that cannot be are counted by reason."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import pandas as pd

from controller.dataset.reference import taken_apart
from controller.models import listed
from controller.models.shipped import DATA
from controller.predict.rows import COLUMNS

MARKS = frozenset({"model", "device", "energy_mj", "latency_avg_s"})
"""Columns by which a file of benchmarks is told from one of training rows, which has `board`."""

SAME_PARAMS = 0.05
BYTES = {0: 4.0, 1: 1.0}

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnable:
    """The rows that can be learned from, in the columns of training, and how many cannot for which reason."""

    table: pd.DataFrame
    left_out: Mapping[str, int]


def is_of_benchmarks(table: pd.DataFrame) -> bool:
    """Return whether `table` has the columns of benchmarks, as `edgewatt data import` and the agent write them."""
    return set(table.columns) >= MARKS and "board" not in table.columns


def learnable(table: pd.DataFrame) -> Learnable:
    """Return what of `table`, a file of benchmarks, can be learned from."""
    rows: list[dict[str, Any]] = []
    left_out: Counter[str] = Counter()
    for row in table.astype(object).where(table.notna(), None).to_dict("records"):
        found = _row(row)
        if isinstance(found, str):
            left_out[found] += 1
        else:
            rows.append(found)
    return Learnable(table=pd.DataFrame(rows, columns=list(COLUMNS)), left_out=dict(left_out))


def unlearned(table: pd.DataFrame, boards: Iterable[str], runtime: str) -> list[str]:
    """Return a sentence for each board in `table` that none of `boards`, those trained for, is."""
    told = []
    for (board, used), rows in table[~table["board"].isin(list(boards))].groupby(["board", "runtime"]):
        why = (
            f"only {runtime} is learned from"
            if used != runtime
            else "too few of the networks that the other boards were measured on: calibrate the device instead"
        )
        told.append(f"not learned from: {len(rows)} rows of {board} with {used}: {why}")
    return told


def _row(row: Row) -> dict[str, Any] | str:
    """Return a training row, or why there can be none."""
    model = str(row["model"] or "")
    name = taken_apart(model)
    known = _known().get(model) or _known().get(name.network)
    if row.get("error"):
        return "the benchmark failed"
    if not row["energy_mj"] or not row["latency_avg_s"]:
        return "no energy, or no latency"
    if not row.get("runtime"):
        return "no runtime is named: edgewatt data import --runtime"
    if known is None:
        return "the network is not in the catalogue"
    if not (known["macts_m"] and known["n_convs"] and known["dw_macs_g"]):
        return "a network without depthwise convolutions, of which no measured one is learned from"
    if row.get("params_m") and abs(row["params_m"] / known["params_m"] - 1) > SAME_PARAMS:
        return "parameters of another network than the name's"
    if row.get("input_res") and int(row["input_res"]) != int(known["input_res"]):
        return "measured at another size of the input than the catalogue's"
    quantized = int(row["quantized"]) if row.get("quantized") is not None else int(name.variant == "int8")
    return _training_row(row, {"quantized": quantized, **known})


def _training_row(row: Row, known: Row) -> dict[str, Any]:
    latency_s, energy_mj = float(row["latency_avg_s"]), float(row["energy_mj"])
    power_mw = row.get("power_avg_mw")
    return {
        **known,
        "board": row["device"],
        "runtime": row["runtime"],
        "framework": row.get("version") or row["runtime"],
        "round": str(row.get("source") or row.get("at") or "").split("/")[0],
        "model": row["model"],
        "size_mb": float(known["params_m"]) * BYTES[int(known["quantized"])],
        "latency_mean_ms": latency_s * 1e3,
        "power_mean_w": float(power_mw) / 1e3 if power_mw else energy_mj / latency_s / 1e3,
        "energy_mj": energy_mj,
    }


@cache
def _known() -> Mapping[str, Row]:
    """Return what training needs of each network: the measured ones under their names, timm's under theirs."""
    measured = pd.read_csv(DATA / "networks.csv").to_dict("records")
    counted = {
        each.name.lower(): {
            "arch_key": each.name,
            "family": each.family,
            "input_res": each.input_res,
            "params_m": each.params_m,
            "gmacs": each.gmacs,
            "macts_m": each.macts_m,
            "dw_macs_g": each.dw_gmacs,
            "n_convs": each.n_convs,
        }
        for each in listed.load().values()
    }
    wanted = set(COLUMNS) - {"model"}
    return counted | {str(row["model"]): {name: row[name] for name in row if name in wanted} for row in measured}
