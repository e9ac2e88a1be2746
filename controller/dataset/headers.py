"""Understands the header of a column: which quantity it holds, in which unit, of a run or of one inference."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from controller.dataset.units import UNITS, Kind

Basis = Literal["", "inference", "run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A field of ours that a column can fill, and how such columns are called; the first names win."""

    field: str
    kind: Kind
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What a header says: `unit` in lower case, empty where it names none; `basis` of an energy."""

    field: str
    kind: Kind
    rank: int
    unit: str = ""
    basis: Basis = ""


OURS = "energy_mj"
"""Of one inference by definition: the column that benchmarks write."""

QUANTITIES = (
    Quantity(
        field="model",
        kind="text",
        names=("model", "model_name", "name", "network", "net", "architecture", "arch"),
    ),
    Quantity(field="params_m", kind="params", names=("params", "param", "parameters", "param_count", "weights")),
    Quantity(field="gflops", kind="operations", names=("flops", "flop")),
    Quantity(field="gmacs", kind="operations", names=("macs", "mac", "madds", "mult_adds", "multiply_adds")),
    Quantity(field="size_mb", kind="bytes", names=("size", "model_size", "file_size", "filesize")),
    Quantity(
        field="latency_avg_s",
        kind="time",
        names=(
            "latency",
            "inference_time",
            "infer_time",
            "time_per_inference",
            "time_per_image",
            "infer_step_time",
            "step_time",
        ),
    ),
    Quantity(field="latency_p50_s", kind="time", names=("latency_p50", "latency_median")),
    Quantity(field="latency_p95_s", kind="time", names=("latency_p95",)),
    Quantity(field="latency_std_s", kind="time", names=("latency_std", "latency_stddev")),
    Quantity(
        field="throughput_iter_per_s",
        kind="plain",
        names=(
            *("throughput", "fps", "qps", "throughput_iter_per_s", "infer_samples_per_sec", "samples_per_sec"),
            "samples_per_s",
            *("inferences_per_s", "inferences_per_second", "images_per_second", "iter_per_s"),
        ),
    ),
    Quantity(field="energy", kind="energy", names=("energy", "energy_consumption", "consumption", "energy_gross")),
    Quantity(field="energy_net_mj", kind="energy", names=("energy_net",)),
    Quantity(field="power_avg_mw", kind="power", names=("power", "power_draw", "board_power")),
    Quantity(field="power_idle_mw", kind="power", names=("power_idle", "idle_power", "idle")),
    Quantity(
        field="iterations",
        kind="count",
        names=(
            *("iterations", "iterations_per_measurement", "iterations_per_run", "inferences", "inferences_per_run"),
            *("n_iterations", "num_iterations", "n_inferences", "num_inferences", "iters", "queries"),
        ),
    ),
    Quantity(
        field="duration_s",
        kind="time",
        names=("duration", "run_time", "runtime_total", "total_time", "elapsed", "elapsed_time", "wall_time"),
    ),
    Quantity(field="batch", kind="count", names=("batch", "batch_size", "infer_batch_size")),
    Quantity(field="device", kind="text", names=("device", "board", "device_type", "platform", "hardware")),
    Quantity(field="runtime", kind="text", names=("runtime", "backend", "engine")),
    Quantity(field="version", kind="text", names=("version", "runtime_version", "framework")),
    Quantity(field="threads", kind="count", names=("threads", "n_threads", "num_threads")),
    Quantity(field="meter", kind="text", names=("meter", "power_source", "sensor")),
    Quantity(field="rail", kind="text", names=("rail",)),
    Quantity(field="at", kind="text", names=("at", "timestamp", "measured_at", "datetime")),
    Quantity(field="source", kind="text", names=("source", "path", "run_id")),
    Quantity(field="round", kind="text", names=("round",)),
    Quantity(
        field="input_res",
        kind="pixels",
        names=(
            *("input_res", "input_resolution_actual", "img_size", "image_size", "input_resolution", "resolution"),
            *("infer_img_size", "input_size", "input_shape"),
        ),
    ),
    Quantity(field="quantized", kind="text", names=("quantized", "quantised", "precision", "dtype")),
    Quantity(field="rate_hz", kind="plain", names=("rate_hz", "sample_rate_hz")),
    Quantity(field="uncertainty_percent", kind="plain", names=("uncertainty_percent",)),
    Quantity(field="rss_mb", kind="bytes", names=("rss", "memory")),
    Quantity(field="rss_peak_mb", kind="bytes", names=("rss_peak", "peak_memory")),
    Quantity(field="temperature_c", kind="plain", names=("temperature_c",)),
    Quantity(field="note", kind="text", names=("note",)),
    Quantity(field="artifact_sha256", kind="text", names=("artifact_sha256", "sha256")),
    Quantity(field="error", kind="text", names=("error",)),
)

_RANKED: Mapping[str, tuple[Quantity, int]] = MappingProxyType(
    {name: (quantity, rank) for quantity in QUANTITIES for rank, name in enumerate(quantity.names)}
)
_WORDS = frozenset(word for name in _RANKED for word in name.split("_"))
_FILLERS = frozenset({"avg", "average", "mean", "value", "of", "the", "in", "number", "num", "n", "infer"})
_OF_ONE = frozenset({"inference", "inf", "inferences", "image", "images", "img", "sample", "query", "frame"})
_OF_RUN = frozenset({"run", "total", "measurement", "sum"})
_SINGLE_RUN = re.compile(r"run_?\d+")
_OPERATIONS = re.compile(r"([kmgt])(flops?|macs?|madds?)")


def understand(header: str) -> Meaning | None:
    """Return what the column called `header` holds, None when it is nothing of ours."""
    words = _words(header)
    plain = "_".join(words)
    if plain == OURS:
        return _meaning("energy", "mj", "inference")
    if plain in _RANKED and plain != "energy":
        return _meaning(plain, "", "")
    unit = _unit(words)
    rest = [word for word in words if word not in unit[1]]
    single = [word for word in rest if _SINGLE_RUN.fullmatch(word)]
    if rest[:1] == ["energy"] and single:
        return Meaning(field="runs", kind="energy", rank=int(single[0].removeprefix("run").strip("_")), unit=unit[0])
    basis = _basis(rest)
    for chosen in (rest, [word for word in rest if word not in _FILLERS]):
        found = _meaning("_".join(chosen), unit[0], "")
        if found:
            return found
    short = [word for word in rest if word not in _FILLERS | _OF_ONE | _OF_RUN | {"per"}]
    return _meaning("_".join(short), unit[0], basis) if basis or short else None


def _meaning(name: str, unit: str, basis: Basis) -> Meaning | None:
    if name not in _RANKED:
        return None
    quantity, rank = _RANKED[name]
    if unit and unit not in UNITS[quantity.kind]:
        return None
    if basis == "run" and quantity.kind in {"time", "plain"}:
        return None
    return Meaning(
        field=quantity.field,
        kind=quantity.kind,
        rank=rank,
        unit=unit,
        basis=basis if quantity.kind == "energy" else "",
    )


def _words(header: str) -> list[str]:
    """Return the words of a header in lower case: energyPerRun, `Energy (mJ / run)` and energy_mj_run alike."""
    words: list[str] = []
    for part in re.split(r"[^0-9A-Za-zµμ#]+", header.strip().replace("μ", "µ")):
        lower = part.lower().lstrip("#")
        operations = _OPERATIONS.fullmatch(lower)
        if operations:
            words += [operations[2], operations[1]]
        elif lower in _WORDS or _is_unit(lower):
            words.append(lower)
        else:
            words += [each.lower() for each in re.findall(r"[A-Z]?[a-zµ]+\d*|[A-Z]+(?![a-z])[a-z]?h?|\d+", part)]
    return [word for word in words if word]


def _is_unit(word: str) -> bool:
    return any(word in units for units in UNITS.values())


def _unit(words: list[str]) -> tuple[str, frozenset[str]]:
    """Return the last word that is a unit, and the words to take out for it."""
    found = [word for word in words[1:] if _is_unit(word)]
    return (found[-1], frozenset({found[-1]})) if found else ("", frozenset())


def _basis(words: list[str]) -> Basis:
    if _OF_RUN & set(words):
        return "run"
    return "inference" if _OF_ONE & set(words) else ""
