"""Finds models among many: by a word, a family, a limit; and puts them in an order."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from controller.models.model import Model

Order = Literal["shelf", "name", "params_m", "gmacs", "top1_pct"]
"""`shelf` is what is stored, then what is well known, then the rest; top-1 is sorted from the best down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What somebody looks for; what is None or empty is not asked.

    `q` is a part of the name in any case, `min_top1` in %; what has no accuracy is not at least that accurate.
    """

    q: str = ""
    family: str = ""
    stored: bool | None = None
    popular: bool | None = None
    max_params_m: float | None = None
    min_top1: float | None = None

    def matches(self, model: Model) -> bool:
        """Return whether `model` is looked for."""
        return (
            self.q.lower() in model.name.lower()
            and self.family in ("", model.family)
            and self.stored in (None, model.stored)
            and self.popular in (None, model.popular)
            and (self.max_params_m is None or model.params_m <= self.max_params_m)
            and (self.min_top1 is None or (model.top1_pct is not None and model.top1_pct >= self.min_top1))
        )


def ordered(models: Iterable[Model], order: Order) -> list[Model]:
    """Return `models` in `order`, equals by name; those without an accuracy after those with one."""
    return sorted(models, key=lambda model: (*_rank(model, order), model.name))


def families(models: Iterable[Model]) -> dict[str, int]:
    """Return how many of `models` each family has, by its name; those without one are left out."""
    return dict(sorted(Counter(model.family for model in models if model.family).items()))


def _rank(model: Model, order: Order) -> tuple[float, ...]:
    match order:
        case "shelf":
            return (not model.stored, not model.popular)
        case "top1_pct":
            return (model.top1_pct is None, -(model.top1_pct or 0.0))
        case "params_m":
            return (model.params_m,)
        case "gmacs":
            return (model.gmacs,)
        case "name":
            return ()
