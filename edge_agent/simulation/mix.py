"""Which boards a simulated fleet is made of, and which of them runs on a battery and a panel; pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from broker.errors import InvalidError
from edge_agent.boards import BOARDS
from edge_agent.simulation.draws import draws

DEFAULT = "jetson_nano_2gb:40,raspberry_pi_5:40,beaglebone_black:20"
SHORT = {
    "jetson_nano_2gb": "jetson",
    "raspberry_pi_5": "pi5",
    "raspberry_pi_4": "pi4",
    "beaglebone_black": "bbb",
}
ON_BATTERY = 0.5
BATTERIES_WH, PANELS_WH_PER_DAY = (20.0, 50.0, 100.0), (0.0, 60.0, 120.0, 240.0)
LINES = "ABCD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One simulated device."""

    id: str
    device_type: str
    line: str
    battery_wh: float | None = None
    solar_wh_per_day: float | None = None


def parts_in(text: str) -> dict[str, float]:
    """Return the shares in `raspberry_pi_5:40,beaglebone_black:20`; raises InvalidError (`bad_setting`)."""
    shares: dict[str, float] = {}
    for part in filter(None, (word.strip() for word in text.split(","))):
        device_type, _, share = part.partition(":")
        if device_type not in BOARDS:
            known = ", ".join(BOARDS)
            raise InvalidError(f"no board is called '{device_type[:40]}'", code="bad_setting", hint=f"known: {known}")
        try:
            shares[device_type] = float(share or 1)
        except ValueError:
            shares[device_type] = -1.0
        if not 0 < shares[device_type] < float("inf"):
            raise InvalidError(f"'{part[:60]}' is no share", code="bad_setting", hint=f"write {DEFAULT}")
    if not shares:
        raise InvalidError("the mix names no board", code="bad_setting", hint=f"write {DEFAULT}")
    return shares


def members(shares: dict[str, float], count: int, *, seed: int, prefix: str = "sim") -> tuple[Member, ...]:
    """Return `count` devices whose boards come as near to `shares` as whole devices can, evenly spread."""
    return tuple(_member(prefix, n, device_type, seed) for n, device_type in enumerate(_spread(shares, count), 1))


def _spread(shares: dict[str, float], count: int) -> Iterator[str]:
    """Yield board by board the one that is furthest behind its share."""
    total, given = sum(shares.values()), dict.fromkeys(shares, 0)
    for n in range(1, count + 1):
        behind = max(shares, key=lambda kind: (n * shares[kind] / total - given[kind], -list(shares).index(kind)))
        given[behind] += 1
        yield behind


def _member(prefix: str, number: int, device_type: str, seed: int) -> Member:
    device_id = f"{prefix}-{SHORT.get(device_type, device_type.replace('_', '-'))}-{number:04d}"
    draw = draws(seed, device_id, "supply")
    on_battery = draw.random() < ON_BATTERY
    return Member(
        id=device_id,
        device_type=device_type,
        line=LINES[number % len(LINES)],
        battery_wh=draw.choice(BATTERIES_WH) if on_battery else None,
        solar_wh_per_day=draw.choice(PANELS_WH_PER_DAY) if on_battery else None,
    )
