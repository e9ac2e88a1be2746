"""Every prediction beside what the device then measured: how far off, by board, family and age; and who drifts."""

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

from broker.energy import MEASURED

SIMULATED = "simulated"

NOT_A_FAMILY = frozenset(
    ["atto", "pico", "nano", "micro", "tiny", "small", "medium", "base", "large", "huge", "untrained", "fp", "int"]
)
"""Second words of names that tell a size or a form."""

AGES_S = (("1 day", 86_400.0), ("1 week", 604_800.0), ("30 days", 2_592_000.0), ("older", math.inf))
"""How old a measurement may be to count among its kind; each age without the younger ones."""

SLACK = 0.05
"""What a reading may be above its baseline, in logarithms, before it speaks for drift (CUSUM's k).

Runs of one system repeat within 2 to 5 % (MLPerf's rounds): a minute's mean deviates by at most 0.05. The smallest
change worth a person's time is 10 %, two deviations; the k that finds a change soonest is half of that.
"""

LIMIT = 0.25
"""The sum at which the alarm is raised (CUSUM's h): five standard deviations.

With k = 1 and h = 5 deviations a healthy board is accused once in 113,000 readings (Siegmund's approximation of the
run length), which is eleven weeks of minutes; +10 % is told after five or six readings, +40 % after the first.
"""

MOST = 2 * LIMIT
"""Where the sum stops growing, so that a board that has recovered is not accused for as long as it was ill."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One prediction and what the device then reported; energies in mJ per inference, `source` what gave the actual.

    `deployment_id` is None for a benchmark. `simulated` says that the whole device is. Predictions are None where none
    was made.
    """

    device_id: str
    model: str
    actual_mj: float
    source: str
    at: float
    device_type: str = "unknown"
    deployment_id: str | None = None
    artifact_sha256: str | None = None
    simulated: bool = False
    predicted_mj: float | None = None
    low_mj: float | None = None
    high_mj: float | None = None
    predictor: str = ""

    @property
    def counts_as_truth(self) -> bool:
        """Whether a meter on a real device measured it; modelled and simulated energy never counts."""
        return self.source in MEASURED and not self.simulated

    @property
    def teaches(self) -> bool:
        """Whether this device's own correction may learn from it: a simulated device learns from its simulation."""
        return self.source == SIMULATED if self.simulated else self.source in MEASURED

    @property
    def error_percent(self) -> float | None:
        """How far the prediction was off, of what was reported; positive when it was too high."""
        return None if self.predicted_mj is None else 100 * (self.predicted_mj - self.actual_mj) / self.actual_mj

    @property
    def inside(self) -> bool | None:
        """Whether what was reported lies in the 95 % interval."""
        if self.low_mj is None or self.high_mj is None:
            return None
        return self.low_mj <= self.actual_mj <= self.high_mj

    @property
    def family(self) -> str:
        """The family of the model, from its name."""
        return family_of(self.model)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Whether a model costs a device more than when it was proven there: a one-sided CUSUM over minute means.

    `baseline_mj` is what the device reported at deployment, by the same `source`. `total` is the sum of excesses,
    `since` when it last left zero, `readings` and `log_sum` what was read from then on.
    """

    device_id: str
    model: str
    source: str
    baseline_mj: float
    deployment_id: str
    read_at: float
    total: float = 0.0
    since: float | None = None
    readings: int = 0
    log_sum: float = 0.0
    alarm: bool = False

    @property
    def by_percent(self) -> float:
        """How much more than at deployment it has cost since `since`."""
        return 100 * (math.exp(self.log_sum / self.readings) - 1) if self.readings else 0.0


def watched(before: Watch, energy_mj: float, at: float) -> Watch:
    """Return `before` after a reading; an alarm ends only when its whole sum has been worked off by good readings."""
    excess = math.log(energy_mj / before.baseline_mj)
    total = min(MOST, max(0.0, before.total + excess - SLACK))
    if total == 0.0:
        return replace(before, total=0.0, since=None, readings=0, log_sum=0.0, alarm=False, read_at=at)
    return replace(
        before,
        total=total,
        since=before.since if before.since is not None else at,
        readings=before.readings + 1,
        log_sum=before.log_sum + excess,
        alarm=before.alarm or total >= LIMIT,
        read_at=at,
    )


class Judged(NamedTuple):
    """A prediction that can be judged by what was reported: how far off it was, and whether its interval held."""

    device_type: str
    model: str
    at: float
    error_percent: float
    inside: int | None


def summary(judged: Sequence[Judged], now: float) -> dict[str, Any]:
    """Return how good predictions were: all of them, by board, by family of models, by age."""
    return {
        **_figures(judged),
        "per_device_type": _by(judged, lambda each: each.device_type),
        "per_family": _by(judged, lambda each: family_of(each.model)),
        "by_age": _by_age(judged, now),
    }


@lru_cache(maxsize=4096)
def family_of(model: str) -> str:
    """Return the family that a model's name tells: `mobilenetv3_small_075` is a mobilenetv3, `resnet50` a resnet."""
    words = [word for word in model.lower().replace("-", "_").replace(".", "_").split("_") if word not in ("", "tf")]
    kept = [_bare(word) for word in words[:2]]
    if len(kept) > 1 and (len(kept[1]) <= 1 or kept[1] in NOT_A_FAMILY):
        kept.pop()
    return "_".join(filter(None, kept)) or model.lower()


def _bare(word: str) -> str:
    """Return `word` without the number of its size; the number of a version stays."""
    stem = word.rstrip("0123456789")
    return word if stem.endswith("v") else stem


def _by(judged: Iterable[Judged], key: Callable[[Judged], str]) -> dict[str, dict[str, Any]]:
    groups: dict[str, list[Judged]] = {}
    for each in judged:
        groups.setdefault(key(each), []).append(each)
    return {name: _figures(groups[name]) for name in sorted(groups)}


def _by_age(judged: Sequence[Judged], now: float) -> list[dict[str, Any]]:
    ages, young_s = [], -math.inf
    for name, old_s in AGES_S:
        within = [each for each in judged if young_s <= now - each.at < old_s]
        ages.append({"age": name, **_figures(within)})
        young_s = old_s
    return ages


def _figures(judged: Sequence[Judged]) -> dict[str, Any]:
    errors = [each.error_percent for each in judged]
    sizes = [abs(error) for error in errors]
    held = [each.inside for each in judged if each.inside is not None]
    return {
        "n": len(errors),
        "mape_percent": _rounded(statistics.fmean(sizes)) if errors else None,
        "median_ape_percent": _rounded(statistics.median(sizes)) if errors else None,
        "bias_percent": _rounded(statistics.fmean(errors)) if errors else None,
        "coverage_percent": _rounded(100 * sum(held) / len(held)) if held else None,
    }


def _rounded(value: float) -> float:
    return round(value, 3)
