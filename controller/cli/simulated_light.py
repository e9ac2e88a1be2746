"""The load of very many devices over a few connections: one process, its line, and its report."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.cli.processes import Program, python
from controller.cli.simulated import Tell, play

BEHIND_S = 1.0
"""More than this behind its schedule is said: the figures are then those of this machine, not of the fleet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LightWishes:
    """A fleet whose devices only speak."""

    devices: int
    mix: str
    seed: int
    broker: str
    connections: int
    interval_s: float
    minutes: float | None = None


async def simulate_light(wishes: LightWishes, logs: Path, tell: Tell) -> dict[str, Any]:
    """Send the telemetry of the fleet until its time is over, or SIGINT or SIGTERM; return the report.

    Raises InvalidError for a mix that makes no sense or a broker that is not there, EdgeWattError (`process_died`).
    """
    ran_s, counts = await play([program(wishes)], wishes.minutes, logs, tell, _newest)
    asked = {"mix": wishes.mix, "seed": wishes.seed, "broker": wishes.broker, "interval_s": wishes.interval_s}
    said = {name: value for name, value in counts.items() if name not in {"pid", "at", "ended", "behind_s"}}
    kept_up = bool(counts) and counts["worst_behind_s"] <= BEHIND_S
    return {"ran_s": round(ran_s, 1), **asked, **said, "kept_up": kept_up, "simulated": True}


def program(wishes: LightWishes, *more: str) -> Program:
    """Return the process that speaks for all devices; `more` are flags of its own."""
    given = {
        "devices": wishes.devices,
        "mix": wishes.mix,
        "seed": wishes.seed,
        "broker": wishes.broker,
        "connections": wishes.connections,
        "interval": wishes.interval_s,
    }
    flags = (word for name, value in given.items() for word in (f"--{name}", str(value)))
    return python("fleet-light", "-m", "edge_agent.simulation.light", *flags, *more)


def light_line(counts: dict[str, Any], ran_s: float) -> str:
    """Return in one line how the fleet is."""
    if not counts:
        return f"{ran_s:4.0f} s  starting"
    if counts["registered"] < counts["devices"]:
        return f"{ran_s:4.0f} s  {counts['registered']:,} of {counts['devices']:,} registered"
    behind = "on schedule"
    if counts["behind_s"] > BEHIND_S:
        behind = f"{counts['behind_s']:.1f} s behind its schedule"
    sent, acked, asked = counts["sent"], counts["acked"], counts["per_s"]
    return f"{ran_s:4.0f} s  {sent:,} sent, {acked:,} acknowledged ({asked:,.0f}/s asked); {behind}"


def _newest(counts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    return next((each for each in counts if "devices" in each), {})
