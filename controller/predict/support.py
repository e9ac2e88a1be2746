"""Tells how far a model lies from everything that was measured, and says so in words."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from controller.predict.features import Features

TOLERANCE = 1.25
"""A quarter beyond the measured range still counts as inside."""

Range = Mapping[str, Sequence[float]]

QUESTIONS: dict[str, tuple[str, Callable[[Features], float | None]]] = {
    "gmacs": ("GMACs", lambda m: m.gmacs),
    "params_m": ("million parameters", lambda m: m.params_m),
    "macts_m": ("million activations", lambda m: m.macts_m),
    "n_convs": ("convolutions", lambda m: m.n_convs),
    "input_res": ("pixels of input side", lambda m: m.input_res),
    "macs_per_param": ("MACs per parameter", lambda m: m.gmacs * 1e3 / m.params_m),
    "macs_per_activation": ("MACs per activation", lambda m: m.gmacs * 1e3 / m.macts_m if m.macts_m else None),
}
"""What is compared with the measured range: its unit in words, and how it is worked out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Distance:
    """How far outside: `excess` the largest logarithm of (figure / end of the range), 0 inside."""

    excess: float
    below: bool
    reasons: tuple[str, ...]


INSIDE = Distance(excess=0.0, below=False, reasons=())


def ranges(models: Sequence[Features]) -> dict[str, tuple[float, float]]:
    """Return the lowest and highest answer of `models` to each question."""
    answers = {name: [a for m in models if (a := ask(m)) is not None] for name, (_, ask) in QUESTIONS.items()}
    return {name: (min(values), max(values)) for name, values in answers.items()}


def distances(models: Sequence[Features], measured: Range) -> list[Distance]:
    """Return `distance` of each of `models`; those inside, usually nearly all, are found together."""
    if not models:
        return []
    raw = np.array([_raw(model) for model in models], np.float64)
    gmacs, params, activations = raw[:, :3].T
    answers = np.column_stack([raw, gmacs * 1e3 / params, gmacs * 1e3 / activations])
    low, high = np.array([measured[name] for name in QUESTIONS]).T
    outside = ((answers < low / TOLERANCE) | (answers > high * TOLERANCE)).any(1)  # what is unknown is neither
    return [distance(model, measured) if far else INSIDE for model, far in zip(models, outside.tolist(), strict=True)]


def distance(model: Features, measured: Range) -> Distance:
    """Return how far `model` lies outside the `measured` range; unknown figures are not held against it."""
    excess, reasons = 0.0, []
    for name, (unit, ask) in QUESTIONS.items():
        value = ask(model)
        if not value:
            continue
        low, high = measured[name]
        if low / TOLERANCE <= value <= high * TOLERANCE:
            continue
        reasons.append(_words(value, unit, low, high))
        excess = max(excess, math.log(low / value), math.log(value / high))
    if not reasons:
        return INSIDE
    return Distance(excess=excess, below=model.gmacs < measured["gmacs"][0], reasons=tuple(reasons))


def _raw(model: Features) -> tuple[float, ...]:
    """Return the answers to the first five of QUESTIONS, in their order; not a number where unknown."""
    unknown = math.nan
    return (
        model.gmacs,
        model.params_m,
        model.macts_m or unknown,
        model.n_convs or unknown,
        model.input_res or unknown,
    )


def _words(value: float, unit: str, low: float, high: float) -> str:
    if value < low:
        return f"{value:.3g} {unit} is {low / value:,.3g} times below the least measured ({low:.3g})"
    return f"{value:.3g} {unit} is {value / high:,.3g} times above the most measured ({high:.3g})"
