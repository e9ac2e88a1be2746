"""Makes the row of a table out of what a model showed, or of why it showed nothing; pure."""

from datetime import UTC, datetime
from typing import Any

from broker.benchmark_row import BenchmarkRow
from edge_agent.benchmark.child import Answer
from edge_agent.benchmark.features import Known
from edge_agent.benchmark.figures import Benchmarked, Energy
from edge_agent.benchmark.marks import Mark
from edge_agent.benchmark.subjects import Subject

MB = 1e6
MS = 1e3


def row(
    identity: BenchmarkRow, subject: Subject, known: Known, answer: Answer, *, size_bytes: int, at: float
) -> BenchmarkRow:
    """Return `identity` (model, device, runtime, version, threads, artifact) with the figures of `answer`.

    What the file says of itself goes before the catalogue, and that before what is `known` from a list. `at` (Unix
    seconds) counts for a model without figures.
    """
    figures = answer.figures
    gmacs = answer.gmacs or subject.gmacs or known.gmacs
    plain = {name: getattr(identity, name) for name in ("model", "device", "runtime", "version", "threads")}
    return BenchmarkRow(
        **plain,
        **(_run_columns(figures) | _energy_columns(figures.energy) if figures else {}),
        params_m=answer.params_m or subject.params_m or known.params_m,
        gmacs=gmacs,
        gflops=None if gmacs is None else 2 * gmacs,
        size_mb=size_bytes / MB,
        at=stamp(figures.started_at if figures else at),
        rss_mb=answer.rss_mb,
        rss_peak_mb=answer.rss_peak_mb,
        input_res=answer.input_res or subject.input_res or known.input_res,
        quantized=_quantized(identity.model, listed=subject.url is not None or known != Known()),
        artifact_sha256=identity.artifact_sha256,
        error=answer.error,
    )


def marks(row: BenchmarkRow, answer: Answer) -> tuple[Mark, ...]:
    """Return when the device rested and when it worked for `row`."""
    figures = answer.figures
    if figures is None:
        return ()
    same = {"at": row.at, "artifact_sha256": row.artifact_sha256, "model": row.model}
    return (
        Mark(**same, kind="rest", start=figures.rest.started_at, stop=figures.rest.ended_at),
        Mark(**same, kind="runs", start=figures.started_at, stop=figures.ended_at),
    )


def stamp(at: float) -> str:
    """Return Unix seconds as ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _quantized(model: str, *, listed: bool) -> int | None:
    """Return 1 for integer arithmetic, 0 for floats; None for a model whose name need not follow our rule."""
    if model.endswith("-int8"):
        return 1
    return 0 if listed else None


def _run_columns(figures: Benchmarked) -> dict[str, Any]:
    return {
        "latency_avg_s": figures.latency_mean_ms / MS,
        "latency_p50_s": figures.latency_p50_ms / MS,
        "latency_p95_s": figures.latency_p95_ms / MS,
        "latency_std_s": figures.latency_std_ms / MS,
        "throughput_iter_per_s": figures.throughput_per_s,
        "iterations": figures.inferences,
        "temperature_c": figures.temperature_c,
        "note": "; ".join(figures.notes),
    }


def _energy_columns(energy: Energy | None) -> dict[str, Any]:
    if energy is None:
        return {}
    return {
        "energy_mj": energy.gross_mj,
        "energy_net_mj": energy.net_mj,
        "power_avg_mw": energy.power_mw,
        "power_idle_mw": energy.idle_mw,
        "meter": energy.source,
        "rail": energy.rail or "",
        "rate_hz": energy.rate_hz,
        "uncertainty_percent": energy.uncertainty_percent,
    }
