"""The life of a simulated device, figure by figure, without living it: two runs with one seed are equal; pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from edge_agent.simulation.body import STEP_S, born
from edge_agent.simulation.faults import Faults
from edge_agent.simulation.mix import Member
from edge_agent.simulation.span import within


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A device at `run_s`; `clock_off_s` is None while its clock is not set."""

    run_s: float
    temp_c: float | None
    throttled: bool | None
    soc_pct: float | None
    charging: bool | None
    power_mw: float
    clock_off_s: float | None
    connected: bool
    flash_full: bool


def trace(member: Member, faults: Faults, *, seed: int, run_s: float, load: float = 0.5) -> Iterator[Moment]:
    """Yield the moments of `member` in steps of `STEP_S`, at a constant `load`; energy and heat are simulated."""
    body = born(member, seed)
    body.load = load
    for step in range(int(run_s / STEP_S) + 1):
        at_s = step * STEP_S
        booted_s = max((moment for moment in faults.reboots if moment <= at_s), default=0.0)
        senses = body.at(at_s)
        is_set = faults.clock.is_set(run_s=at_s, booted_s=booted_s)
        yield Moment(
            run_s=at_s,
            temp_c=senses.temp_c,
            throttled=senses.throttled,
            soc_pct=senses.soc_pct,
            charging=senses.charging,
            power_mw=body.mean_mw(),
            clock_off_s=faults.clock.reads(0.0, run_s=at_s, booted_s=booted_s) if is_set else None,
            connected=not within(faults.cuts, at_s),
            flash_full=within(faults.flash_full, at_s),
        )
