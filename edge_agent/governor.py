"""Decides on which rung of a ladder a device stands, by its battery and its heat; pure."""

from dataclasses import dataclass

from broker.messages import PowerState


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """A step down, called for by a battery below or a temperature above a bound: a lower rate, another model, or both.

    What a rung does not say is as on the rung before it, so that no rung costs more than a milder one.
    """

    soc_below_pct: float | None = None
    temp_above_c: float | None = None
    rate: float | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """Rungs from the mildest to the most severe; one that was called for is left only beyond the hysteresis."""

    rungs: tuple[Rung, ...] = ()
    hysteresis_pct: float = 5.0
    hysteresis_c: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bound:
    """A bound of a rung: by how much a figure is past it, None where nobody measures the figure, and both in words."""

    past: float | None
    slack: float
    figure: str
    says: str

    @property
    def broken(self) -> bool:
        """Whether it calls for the rung."""
        return self.past is not None and self.past > 0

    def holds(self, *, here: bool) -> bool:
        """Whether it speaks for the rung, which takes less `here`, where the device stands on it."""
        return self.past is not None and self.past > (-self.slack if here else 0)


def govern(ladder: Ladder, power: PowerState, now_rung: int) -> int:
    """Return the rung to stand on: the most severe one that is called for, 0 for none.

    The rung it stands on is called for until every figure known of its bounds is back by the hysteresis; another one
    as soon as one bound is broken. A figure that nobody measures is no reason to step, neither down nor back.
    """
    called = 0
    for number in range(1, len(ladder.rungs) + 1):
        bounds, here = _bounds(ladder, number, power), number == now_rung
        blind = all(bound.past is None for bound in bounds)
        if (blind and here) or any(bound.holds(here=here) for bound in bounds):
            called = number
    return called


def rate_of(ladder: Ladder, rung: int) -> float | None:
    """Return the most inferences per second on a rung, None where the ladder does not say."""
    return next((each.rate for each in reversed(ladder.rungs[:rung]) if each.rate is not None), None)


def model_of(ladder: Ladder, rung: int) -> str | None:
    """Return the model to run on a rung, None where the ladder does not say."""
    return next((each.model for each in reversed(ladder.rungs[:rung]) if each.model is not None), None)


def reason(ladder: Ladder, power: PowerState, rung: int, before: int) -> str:
    """Return the figures that brought a device from the rung `before` to `rung`, such as `battery 28 %`."""
    causes = [bound.figure for bound in _bounds(ladder, rung, power) if bound.broken]
    calm = [bound.figure for bound in _bounds(ladder, before, power) if bound.past is not None]
    return ", ".join(causes or calm) or "nothing is measured"


def condition(ladder: Ladder, power: PowerState, rung: int) -> str | None:
    """Return how long a device will stand on a rung, such as `battery < 30 %`; None on none."""
    bounds = _bounds(ladder, rung, power)
    return " or ".join([bound.says for bound in bounds if bound.broken] or [bound.says for bound in bounds]) or None


def _bounds(ladder: Ladder, rung: int, power: PowerState) -> list[_Bound]:
    """Return the bounds of a rung, none of rung 0."""
    if rung == 0:
        return []
    found, wanted = [], ladder.rungs[rung - 1]
    below, above = wanted.soc_below_pct, wanted.temp_above_c
    if below is not None:
        past = None if power.soc_pct is None else below - power.soc_pct
        figure = f"battery {power.soc_pct or 0:.3g} %"
        found.append(_Bound(past=past, slack=ladder.hysteresis_pct, figure=figure, says=f"battery < {below:g} %"))
    if above is not None:
        past = None if power.temp_c is None else power.temp_c - above
        figure = f"{power.temp_c or 0:.3g} °C"
        found.append(_Bound(past=past, slack=ladder.hysteresis_c, figure=figure, says=f"temperature > {above:g} °C"))
    return found
