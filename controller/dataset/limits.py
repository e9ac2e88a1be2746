"""What each figure of a row may be."""

from collections.abc import Mapping

LIMITS: Mapping[str, tuple[float, float]] = {
    "params_m": (1e-6, 20_000.0),
    "gflops": (2e-9, 100_000.0),
    "gmacs": (1e-9, 50_000.0),
    "size_mb": (1e-5, 100_000.0),
    "latency_avg_s": (1e-7, 3_600.0),
    "latency_p50_s": (1e-7, 3_600.0),
    "latency_p95_s": (1e-7, 3_600.0),
    "latency_std_s": (0.0, 3_600.0),
    "throughput_iter_per_s": (1e-4, 1e7),
    "energy_mj": (1e-6, 1e9),
    "energy_net_mj": (-1e9, 1e9),
    "energy_run_mj": (1e-6, 1e13),
    "energy_some_mj": (1e-6, 1e13),
    "power_avg_mw": (1e-1, 1e7),
    "power_idle_mw": (1e-1, 1e7),
    "duration_s": (1e-6, 1e7),
    "iterations": (1, 1e9),
    "threads": (1, 4_096),
    "batch": (1, 100_000),
    "input_res": (1, 16_384),
    "rss_mb": (1e-3, 1e7),
    "rss_peak_mb": (1e-3, 1e7),
    "temperature_c": (-100.0, 300.0),
    "rate_hz": (1e-6, 1e7),
    "uncertainty_percent": (0.0, 1_000.0),
}
"""What each figure may be, the widest that make any sense."""
