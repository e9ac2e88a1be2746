"""What a board's clock shows: off by a little, jumping, or not set at all after a boot; pure."""

from dataclasses import dataclass

UNSET_TS = 1_483_228_800.0
"""2017-01-01: where a board without a battery-backed clock begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Jump:
    """At `at_s` of the run the clock is set `by_s` forward (or back) and stays so until `until_s`."""

    at_s: float
    by_s: float
    until_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """A clock `skew_s` off, with `jumps`; it is not set for `unset_s` after each boot."""

    skew_s: float = 0.0
    jumps: tuple[Jump, ...] = ()
    unset_s: float = 0.0

    def reads(self, true_ts: float, *, run_s: float, booted_s: float) -> float:
        """Return what it shows at the true time `true_ts`, `run_s` into the run, of a boot at `booted_s`."""
        if not self.is_set(run_s=run_s, booted_s=booted_s):
            return UNSET_TS + run_s - booted_s
        jumped = sum(jump.by_s for jump in self.jumps if jump.at_s <= run_s < jump.until_s)
        return true_ts + self.skew_s + jumped

    def is_set(self, *, run_s: float, booted_s: float) -> bool:
        """Return whether it was set from the network since the boot."""
        return run_s - booted_s >= self.unset_s
