"""Reads a ladder as a person writes it in `config`, and says by its path what makes no sense."""

from itertools import pairwise
from operator import ge, gt, le
from typing import Any

from broker.errors import InvalidError
from edge_agent.cadence import LIMITS
from edge_agent.governor import Ladder, Rung, model_of, rate_of

MOST_RUNGS = 8
BOUNDS = {"soc_below_pct": (1.0, 99.0), "temp_above_c": (-40.0, 150.0), "rate": LIMITS["rate"]}
SLACK = {"hysteresis_pct": (0.5, 50.0), "hysteresis_c": (0.5, 50.0)}
MOST_NAME_CHARACTERS = 200
FULL_PCT = 100.0

EXAMPLE = '{"governor":{"rungs":[{"soc_below_pct":30,"rate":0.2},{"soc_below_pct":15,"model":"digits_mlp"}]}}'


def ladder_of(value: Any) -> Ladder | None:
    """Return the ladder in `value`; None for no ladder: null, `{}` or no rungs. Raises InvalidError (`bad_config`)."""
    if value is None or value == {}:
        return None
    said = _table(value, "governor", {"rungs", *SLACK})
    rungs = said.get("rungs", [])
    if not isinstance(rungs, list) or len(rungs) > MOST_RUNGS:
        raise _bad(f"governor.rungs must be a list of at most {MOST_RUNGS}")
    if not rungs:
        return None
    slack = {name: _number(said, name, "governor", limits) for name, limits in SLACK.items() if name in said}
    ladder = Ladder(rungs=tuple(_rung(each, f"governor.rungs[{i}]") for i, each in enumerate(rungs)), **slack)
    _check_order(ladder)
    return ladder


def _rung(value: Any, path: str) -> Rung:
    said = _table(value, path, {*BOUNDS, "model"})
    numbers = {name: _number(said, name, path, limits) for name, limits in BOUNDS.items() if name in said}
    model = said.get("model")
    if model is not None and not (isinstance(model, str) and 0 < len(model) <= MOST_NAME_CHARACTERS):
        raise _bad(f"{path}.model must be the name or the SHA-256 of a model on the device")
    if not {"soc_below_pct", "temp_above_c"} & numbers.keys():
        raise _bad(f"{path} says no soc_below_pct and no temp_above_c, so it would never be stood on")
    if model is None and "rate" not in numbers:
        raise _bad(f"{path} says no rate and no model, so it would change nothing")
    return Rung(model=model, **numbers)


def _check_order(ladder: Ladder) -> None:
    """Refuse rungs that no battery or temperature would bring in their order, or that cost more than a milder one."""
    for name, order, wrong in (("soc_below_pct", "fall", ge), ("temp_above_c", "rise", le), ("rate", "not rise", gt)):
        said = [(i, getattr(rung, name)) for i, rung in enumerate(ladder.rungs) if getattr(rung, name) is not None]
        for (_, mild), (i, severe) in pairwise(said):
            if wrong(severe, mild):
                raise _bad(
                    f"governor.rungs[{i}].{name} is {severe:g} after {mild:g}: it must {order} from rung to rung"
                )
    for i in range(1, len(ladder.rungs)):
        if (rate_of(ladder, i), model_of(ladder, i)) == (rate_of(ladder, i + 1), model_of(ladder, i + 1)):
            raise _bad(f"governor.rungs[{i}] changes nothing against the one before it: give that one both bounds")
    for i, rung in enumerate(ladder.rungs):
        if rung.soc_below_pct is not None and rung.soc_below_pct + ladder.hysteresis_pct > FULL_PCT:
            raise _bad(f"governor.rungs[{i}] would be left at over {FULL_PCT:g} % of battery only, which is never")


def _table(value: Any, path: str, known: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _bad(f"{path} must be an object")
    if unknown := sorted(str(key) for key in value.keys() - known):
        raise _bad(f"{path} knows no '{unknown[0][:40]}', only {', '.join(sorted(known))}")
    return value


def _number(said: dict[str, Any], name: str, path: str, limits: tuple[float, float]) -> float:
    value, (low, high) = said[name], limits
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise _bad(f"{path}.{name} must be a number from {low:g} to {high:g}")
    return float(value)


def _bad(said: str) -> InvalidError:
    return InvalidError(said, code="bad_config", hint=EXAMPLE)
