"""How often the agent speaks and infers; changed by the op `config`, kept over restarts."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from broker.errors import InvalidError, WireError
from broker.wire import decode, encode
from edge_agent.files import write_whole

LIMITS = {"interval_s": (0.1, 3_600.0), "rate": (0.01, 1_000.0)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Seconds between two samples of telemetry; inferences per second."""

    interval_s: float = 5.0
    rate: float = 1.0


@dataclass(slots=True)
class Cadence:
    """The pace in force, kept at `path`."""

    path: Path
    pace: Pace = field(default_factory=Pace)

    def __post_init__(self) -> None:
        """Take what an earlier `config` set over what the process was started with."""
        try:
            self.pace = decode(Pace, self.path.read_bytes())
        except (FileNotFoundError, WireError):
            return

    def change(self, wanted: dict[str, Any]) -> Pace:
        """Put `wanted` in force; raises InvalidError that names the field and its limits, and then changes nothing."""
        pace = replace(self.pace, **{name: _checked(name, value) for name, value in wanted.items()})
        write_whole(self.path, encode(pace))
        self.pace = pace
        return pace


def _checked(name: str, value: Any) -> float:
    if name not in LIMITS:
        hint = f"known: {', '.join(LIMITS)}, governor"
        raise InvalidError(f"unknown setting '{name[:40]}'", code="bad_config", hint=hint)
    low, high = LIMITS[name]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise InvalidError(f"{name} must be a number from {low:g} to {high:g}", code="bad_config")
    return float(value)
