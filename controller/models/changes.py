"""What a version of a model costs beside the one before it, each kind of figure for itself; pure."""

import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

Quantity = Literal["energy_mj", "latency_p95_ms", "memory_mb", "top1_pct"]
Kind = Literal["measured", "modelled", "simulated", "predicted", "told"]

KINDS: tuple[Kind, ...] = ("measured", "modelled", "simulated", "predicted", "told")
"""How sure a figure is, the surest first; `told` is what a file or its owner says."""

WORDS: dict[Quantity, tuple[str, str]] = {
    "energy_mj": ("less energy", "more energy"),
    "latency_p95_ms": ("faster", "slower"),
    "memory_mb": ("less memory", "more memory"),
    "top1_pct": ("less accurate", "more accurate"),
}
"""What a lower and what a higher figure is called."""

OF_DEVICES: tuple[Quantity, ...] = ("energy_mj", "latency_p95_ms", "memory_mb")
"""What devices tell of a file."""

HIGHER_IS_BETTER = frozenset({"top1_pct"})
SAME_PERCENT = 0.5
"""A change that is smaller is none that anybody could tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one file cost one device once: mJ per inference, p95 in ms, resident memory in 10^6 bytes; at in Unix s.

    `energy_kind` is the kind of its energy; its time and its memory are `simulated` on a device that is, else measured.
    """

    device_id: str
    device_type: str
    sha256: str
    energy_kind: Kind
    energy_mj: float | None
    latency_p95_ms: float | None
    memory_mb: float | None
    at: float

    def of(self, quantity: Quantity) -> tuple[Kind, float | None]:
        """Return a figure and its kind."""
        kind: Kind = "simulated" if self.energy_kind == "simulated" else "measured"
        match quantity:
            case "energy_mj":
                return self.energy_kind, self.energy_mj
            case "latency_p95_ms":
                return kind, self.latency_p95_ms
            case _:
                return kind, self.memory_mb


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A mean over `devices`, each with the newest of its `measurements`; of a prediction these are None."""

    value: float
    devices: int | None = None
    measurements: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One quantity on one type of device (None: of the model itself), of one kind; None where nobody knows it."""

    quantity: Quantity
    kind: Kind
    device_type: str | None
    old: Figure | None
    new: Figure | None

    @property
    def percent(self) -> float | None:
        """By how much the new figure differs, in % of the old one."""
        if self.old is None or self.new is None or not self.old.value:
            return None
        return round(100 * (self.new.value - self.old.value) / self.old.value, 1)

    @property
    def better(self) -> bool | None:
        """Whether that is better; None where it is the same, or not known."""
        if self.percent is None or abs(self.percent) < SAME_PERCENT:
            return None
        return (self.percent > 0) == (self.quantity in HIGHER_IS_BETTER)

    @property
    def sentence(self) -> str:
        """The change in words."""
        if self.percent is None:
            return "only the new one is known" if self.new else "only the old one is known"
        if self.better is None:
            return "the same"
        lower, higher = WORDS[self.quantity]
        word = higher if self.percent > 0 else lower
        return f"{abs(self.percent):g} % {word}: {'better' if self.better else 'worse'}"


def changes(old: frozenset[str], new: frozenset[str], readings: Sequence[Reading]) -> list[Change]:
    """Return what devices told of the files `old` and `new`, by type of device, kind and quantity."""
    found = []
    for device_type in sorted({each.device_type for each in readings if each.sha256 in old | new}):
        there = [each for each in readings if each.device_type == device_type]
        for quantity in OF_DEVICES:
            for kind in KINDS:
                before, after = (_figure(there, digests, quantity, kind) for digests in (old, new))
                if before or after:
                    found.append(Change(quantity=quantity, kind=kind, device_type=device_type, old=before, new=after))
    return found


def stated(
    quantity: Quantity, kind: Kind, device_type: str | None, old: float | None, new: float | None
) -> list[Change]:
    """Return the change of two figures that no device told, none where neither is known."""
    if old is None and new is None:
        return []
    before, after = (None if value is None else Figure(value=value) for value in (old, new))
    return [Change(quantity=quantity, kind=kind, device_type=device_type, old=before, new=after)]


def _figure(readings: Iterable[Reading], digests: frozenset[str], quantity: Quantity, kind: Kind) -> Figure | None:
    newest: dict[str, tuple[float, float]] = {}
    measurements = 0
    for device_id, at, value in _told(readings, digests, quantity, kind):
        measurements += 1
        newest[device_id] = max(newest.get(device_id, (at, value)), (at, value))
    if not newest:
        return None
    mean = statistics.fmean(value for _, value in newest.values())
    return Figure(value=round(mean, 4), devices=len(newest), measurements=measurements)


def _told(
    readings: Iterable[Reading], digests: frozenset[str], quantity: Quantity, kind: Kind
) -> Iterator[tuple[str, float, float]]:
    for each in readings:
        of_kind, value = each.of(quantity)
        if each.sha256 in digests and of_kind == kind and value is not None:
            yield each.device_id, each.at, value
