"""What each unit is of ours: seconds, mJ, mW, 10^6 bytes, millions of parameters, 10^9 operations."""

from dataclasses import dataclass
from typing import Literal

from broker.errors import InvalidError

Kind = Literal["time", "energy", "power", "bytes", "params", "operations", "plain", "pixels", "count", "text"]


@dataclass(frozen=True, slots=True)
class Scale:
    """A figure times `times` divided by `per` is in our unit; two exact numbers, so that 61.6 ms is 0.0616 s."""

    times: float = 1
    per: float = 1

    def of(self, value: float) -> float:
        """Return `value` in our unit."""
        return value if self.times == self.per else float(f"{value * self.times / self.per:.15g}")


ONE = Scale()
UNITS: dict[Kind, dict[str, Scale]] = {
    "time": {
        **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), ONE),
        **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), Scale(per=1e3)),
        **dict.fromkeys(("us", "µs", "usec", "microsecond", "microseconds"), Scale(per=1e6)),
        "ns": Scale(per=1e9),
        **dict.fromkeys(("minute", "minutes"), Scale(times=60)),
        **dict.fromkeys(("hour", "hours"), Scale(times=3_600)),
    },
    "energy": {
        "mj": ONE,
        "j": Scale(times=1e3),
        "joule": Scale(times=1e3),
        "joules": Scale(times=1e3),
        "kj": Scale(times=1e6),
        **dict.fromkeys(("uj", "µj"), Scale(per=1e3)),
        "mwh": Scale(times=3_600),
        "wh": Scale(times=3_600_000),
        "kwh": Scale(times=3_600_000_000),
        **dict.fromkeys(("uwh", "µwh"), Scale(times=3.6)),
    },
    "power": {
        "mw": ONE,
        **dict.fromkeys(("w", "watt", "watts"), Scale(times=1e3)),
        "kw": Scale(times=1e6),
        **dict.fromkeys(("uw", "µw"), Scale(per=1e3)),
    },
    "bytes": {
        **dict.fromkeys(("b", "byte", "bytes"), Scale(per=1e6)),
        "kb": Scale(per=1e3),
        "kib": Scale(times=1_024, per=1e6),
        "mb": ONE,
        "mib": Scale(times=1_048_576, per=1e6),
        "gb": Scale(times=1e3),
        "gib": Scale(times=1_073_741_824, per=1e6),
    },
    "params": {
        "m": ONE,
        **dict.fromkeys(("million", "millions"), ONE),
        "k": Scale(per=1e3),
        **dict.fromkeys(("b", "g"), Scale(times=1e3)),
    },
    "operations": {"g": ONE, "m": Scale(per=1e3), "k": Scale(per=1e6), "t": Scale(times=1e3)},
    "plain": dict.fromkeys(("fps", "hz", "qps"), ONE),
    "pixels": {"px": ONE},
    "count": {"k": Scale(times=1e3), "m": Scale(times=1e6)},
    "text": {},
}
"""By kind and spelling in lower case; nobody means mega by the m of mJ, mW or mWh here."""

COUNTED: dict[Kind, Scale] = {"params": Scale(per=1e6), "operations": Scale(per=1e9), "bytes": Scale(per=1e6)}
"""A column of whole counts: parameters, operations, bytes."""


def scale(kind: Kind, unit: str) -> Scale:
    """Return what one `unit` is of ours. Raises InvalidError for a unit of another kind, or none."""
    found = UNITS[kind].get(unit)
    if found is None:
        raise InvalidError(f"'{unit}' is no unit here", code="not_a_number")
    return found
