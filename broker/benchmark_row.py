"""One measured model on one device: the row that a benchmark writes, and that training and import read.

The columns are described in data/README.md. Absent is empty, never 0. Times are s per inference, energies mJ per
inference, power mW.
"""

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkRow:
    """`energy_mj` is gross, what the device drew while the model ran; `energy_net_mj` is above its idle power.

    `uncertainty_percent` bounds the error of the energy by the meter's rate and resolution; `at` is UTC, ISO 8601;
    `rss_mb` is the process's memory after the model was loaded, `rss_peak_mb` its most until the runs were over; `note`
    says what stood in the way of clean figures, `error` why a model gave none; `source` where a figure was published,
    which tells repeated runs apart.
    """

    model: str
    params_m: float | None = None
    gflops: float | None = None
    gmacs: float | None = None
    size_mb: float | None = None
    latency_avg_s: float | None = None
    throughput_iter_per_s: float | None = None
    energy_mj: float | None = None
    power_avg_mw: float | None = None
    device: str = ""
    runtime: str = ""
    version: str = ""
    threads: int | None = None
    meter: str = ""
    iterations: int | None = None
    at: str = ""
    latency_p50_s: float | None = None
    latency_p95_s: float | None = None
    latency_std_s: float | None = None
    rss_mb: float | None = None
    power_idle_mw: float | None = None
    energy_net_mj: float | None = None
    rail: str = ""
    rate_hz: float | None = None
    uncertainty_percent: float | None = None
    input_res: int | None = None
    quantized: int | None = None
    artifact_sha256: str = ""
    rss_peak_mb: float | None = None
    temperature_c: float | None = None
    note: str = ""
    error: str = ""
    source: str = ""


COLUMNS = tuple(field.name for field in fields(BenchmarkRow))
