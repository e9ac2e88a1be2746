"""What a predictor is told about a model, checked before it is believed."""

import math
from dataclasses import dataclass

from broker.errors import InvalidError

LIMITS = {
    "params_m": (1e-6, 20_000.0),
    "gmacs": (1e-9, 50_000.0),
    "size_mb": (1e-5, 100_000.0),
    "macts_m": (1e-6, 100_000.0),
    "dw_gmacs": (0.0, 50_000.0),
    "n_convs": (0, 100_000),
    "input_res": (1, 16_384),
    "latency_avg_s": (1e-7, 3_600.0),
    "throughput_iter_per_s": (1e-4, 1e7),
}
"""What each figure may be: from a perceptron of one weight to beyond the largest networks published."""

MAX_BYTES_PER_PARAM = 64.0
"""fp64 needs 8; a graph of tiny weights is mostly structure, so small files are exempt (see `_check_size`)."""

MIN_BYTES_PER_PARAM = 0.1
"""Below one bit per parameter nothing was stored."""

LATENCY_THROUGHPUT_TOLERANCE = 3.0
"""latency × throughput is 1 at batch 1; beyond this factor one of the two has another unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """A model as a predictor sees it; what is not known is None.

    `params_m` millions of weights, `gmacs` billions of multiply-adds (gflops is twice that), `size_mb` 10^6 bytes of
    the file, `macts_m` millions of conv outputs, `dw_gmacs` the depthwise share of `gmacs`, `latency_avg_s` measured
    on the very device that the question is about.

    Raises InvalidError, `field` among its facts, for a figure that is negative, not finite, absurd or contradicts
    another one.
    """

    params_m: float
    gmacs: float
    size_mb: float
    macts_m: float | None = None
    input_res: int | None = None
    quantized: bool = False
    latency_avg_s: float | None = None
    throughput_iter_per_s: float | None = None
    dw_gmacs: float | None = None
    n_convs: int | None = None

    def __post_init__(self) -> None:
        """Refuse figures that make no sense."""
        for name in LIMITS:
            _check_range(name, getattr(self, name))
        _check_size(self)
        if self.dw_gmacs is not None and self.dw_gmacs > self.gmacs * 1.001:
            _refuse("dw_gmacs", f"{self.dw_gmacs:g} is more than all of gmacs ({self.gmacs:g})")
        _check_latency(self)

    @property
    def gflops(self) -> float:
        """Billions of floating-point operations: two for each multiply-add."""
        return 2 * self.gmacs


def derived(features: Features) -> dict[str, float]:
    """Return the six ratios that REST shows beside a prediction; those that need a latency only where it is known."""
    ratios = {
        "gflops_per_param": features.gflops / features.params_m,
        "gmacs_per_mb": features.gmacs / features.size_mb,
        "model_complexity": features.params_m * features.gflops,
        "computational_density": features.gflops / features.size_mb,
    }
    if features.latency_avg_s is not None:
        ratios["compute_intensity"] = features.gflops * features.latency_avg_s
        if features.throughput_iter_per_s is not None:
            ratios["latency_throughput_ratio"] = features.latency_avg_s * features.throughput_iter_per_s
    return ratios


def _check_range(name: str, value: float | None) -> None:
    if value is None:
        if name in {"params_m", "gmacs", "size_mb"}:
            _refuse(name, "is missing")
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        _refuse(name, f"must be a number, not {type(value).__name__}")
    low, high = LIMITS[name]
    if not math.isfinite(value):
        _refuse(name, "must be a finite number")
    if not low <= value <= high:
        _refuse(name, f"{value:g} is outside {low:g} … {high:g}")


def _check_size(features: Features) -> None:
    per_param = features.size_mb / features.params_m
    if per_param < MIN_BYTES_PER_PARAM or (per_param > MAX_BYTES_PER_PARAM and features.size_mb > 1):
        _refuse(
            "size_mb",
            f"{features.size_mb:g} MB for {features.params_m:g} million parameters is {per_param:.3g} bytes each",
        )


def _check_latency(features: Features) -> None:
    if features.latency_avg_s is None or features.throughput_iter_per_s is None:
        return
    product = features.latency_avg_s * features.throughput_iter_per_s
    if not 1 / LATENCY_THROUGHPUT_TOLERANCE <= product <= LATENCY_THROUGHPUT_TOLERANCE:
        _refuse(
            "latency_avg_s",
            f"{features.latency_avg_s:g} s contradicts throughput_iter_per_s {features.throughput_iter_per_s:g}"
            " (their product should be near 1)",
        )


def _refuse(name: str, what: str) -> None:
    raise InvalidError(
        f"{name} {what}" if what[0].isalpha() else f"{name}: {what}",
        hint="params_m is in millions, gmacs in billions, size_mb in 10^6 bytes, latency_avg_s in seconds",
        field=name,
    )
