"""The networks of the measured literature, for orientation beside one's own: data/networks.csv, measured_energy.csv."""

import csv
from collections import defaultdict
from collections.abc import Container, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median

from controller.models.shipped import DATA
from controller.predict.features import Features

BYTES_PER_PARAM = {False: 4.0, True: 1.0}

RUNTIME = "tflite"
"""The runtime that every measured board has rows of; others would mix runtimes into one figure."""

LABELS = 1_000
"""All of them answer ImageNet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A published network: what a predictor asks of it, its top-1 on ImageNet in %, and its family."""

    name: str
    family: str
    top1_pct: float | None
    features: Features


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a network cost on a board: medians over versions of the runtime, the least and the most of them."""

    energy_mj: float
    low_mj: float
    high_mj: float
    latency_ms: float


@cache
def networks(folder: Path = DATA) -> tuple[Network, ...]:
    """Return every network that was measured somewhere."""
    with (folder / "networks.csv").open(encoding="utf-8", newline="") as file:
        return tuple(_network(row) for row in csv.DictReader(file))


def distinct(measured_here: Container[str] = ()) -> list[Network]:
    """Return each network once, though rounds name it differently; by a name in `measured_here` where there is one."""
    found: dict[tuple[object, ...], Network] = {}
    for each in networks():
        key = (each.family, each.features.quantized, each.features.input_res, each.features.gmacs)
        if key not in found or (each.name in measured_here and found[key].name not in measured_here):
            found[key] = each
    return list(found.values())


@cache
def measured(board: str, folder: Path = DATA) -> Mapping[str, Measured]:
    """Return what each network cost on `board`, by its name; empty for a board that nobody measured."""
    rows: dict[str, list[tuple[float, float]]] = defaultdict(list)
    with (folder / "measured_energy.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["board"] == board and row["runtime"] == RUNTIME:
                rows[row["model"]].append((float(row["energy_mj"]), float(row["latency_mean_ms"])))
    return {
        name: Measured(
            energy_mj=median(energy for energy, _ in found),
            low_mj=min(energy for energy, _ in found),
            high_mj=max(energy for energy, _ in found),
            latency_ms=median(latency for _, latency in found),
        )
        for name, found in rows.items()
    }


def _network(row: Mapping[str, str]) -> Network:
    quantized = row["quantized"] == "1"
    params_m = float(row["params_m"])
    return Network(
        name=row["model"],
        family=row["family"],
        top1_pct=float(row["top1_pct"]) if row["top1_pct"] else None,
        features=Features(
            params_m=params_m,
            gmacs=float(row["gmacs"]),
            size_mb=params_m * BYTES_PER_PARAM[quantized],
            macts_m=float(row["macts_m"]),
            input_res=int(row["input_res"]),
            quantized=quantized,
            dw_gmacs=float(row["dw_macs_g"]),
            n_convs=int(row["n_convs"]),
        ),
    )
