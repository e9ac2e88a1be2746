"""The predictor of one measured board: figures with intervals, from a model's architecture or from a latency."""

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from controller.predict.features import Features
from controller.predict.prediction import Category
from controller.predict.process import Process
from controller.predict.support import INSIDE, Distance, distances
from controller.predict.vectors import Kind, kind_of, matrix, work

EXTRAPOLATION = 0.5
"""How much of the distance beyond the measured range, in logarithms, is added to the half-width of an interval."""

CATEGORIES: tuple[Category, ...] = ("EXCELLENT", "GOOD", "ACCEPTABLE", "HIGH")
"""Below P25, P50 and P75 of what was measured on the board, and above."""

NEAREST = 2
"""How many measured networks are named beside a figure."""

LEAST_MJ = 1e-6
"""The work of a network without any; keeps logarithms finite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Energy per inference in mJ, and how it came about.

    The 95 % interval is energy / exp(half_low) … energy * exp(half_high); `far` says that it is no interpolation.
    """

    energy_mj: float
    half_low: float
    half_high: float
    far: bool
    mape_pct: float | None
    reasons: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class BoardPredictor:
    """What training left for one board; `document` is its part of energy_predictor.json."""

    document: Mapping[str, Any]
    processes: Mapping[Kind, Process]

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Return the predictor that `document` describes, ready to answer."""
        processes = {kind: Process.from_document(part["process"]) for kind, part in document["kinds"].items()}
        for process in processes.values():
            _ = process.solved
        return cls(document=document, processes=processes)

    def from_architecture(self, models: Sequence[Features]) -> list[Figure]:
        """Return a figure for each of `models`; models that tell the same things are worked out together."""
        gaps = distances(models, self.document["range"])
        kinds = ["small" if gap.below else kind_of(model) for model, gap in zip(models, gaps, strict=True)]
        figures: dict[int, Figure] = {i: self._small(models[i], gaps[i]) for i, k in enumerate(kinds) if k == "small"}
        for kind, process in self.processes.items():
            places = [i for i, own in enumerate(kinds) if own == kind]
            if places:
                x = matrix(kind, [models[i] for i in places])
                mean, spread = process.at(x)
                half = self.document["kinds"][kind]["widening"] * spread
                near = process.nearest(x, NEAREST).tolist()
                answers = zip(np.exp(mean).tolist(), half.tolist(), near, [gaps[i] for i in places], strict=True)
                figures.update(zip(places, self._figures(kind, answers), strict=True))
        return [figures[i] for i in range(len(models))]

    def from_latency(self, model: Features, latency_s: float) -> Figure:
        """Return power times the latency measured on the device: the power of this board at that rate of work."""
        power = self.document["power"]
        constant, rate, quantized = power["coefficients"]
        watts = math.exp(constant + rate * math.log(model.gmacs / latency_s) + quantized * model.quantized)
        low, high = power["latency_s"]
        outside = max(math.log(low / latency_s), math.log(latency_s / high), 0.0)
        reasons = (
            (f"a latency of {latency_s:.3g} s lies outside the measured {low:.3g} … {high:.3g} s",) if outside else ()
        )
        half = power["half_width"] + EXTRAPOLATION * outside
        return Figure(
            energy_mj=watts * latency_s * 1e3,
            half_low=half,
            half_high=half,
            far=outside > 0,
            mape_pct=power["mape_pct"],
            reasons=reasons,
        )

    def category(self, energy_mj: float) -> Category:
        """Return where `energy_mj` lies among the networks measured on this board."""
        return CATEGORIES[bisect_left(self.ends_mj, energy_mj)]

    @cached_property
    def ends_mj(self) -> tuple[float, ...]:
        """Where a category ends, in mJ per inference: the last has no end."""
        return tuple(self.document["percentiles_mj"][name] for name in ("P25", "P50", "P75"))

    def _figures(self, kind: Kind, answers: Iterable[tuple[float, float, Sequence[int], Distance]]) -> list[Figure]:
        """Return the figure of each answer: energy, half-width, the nearest measured networks, how far it is."""
        mape_pct, names = self.document["kinds"][kind]["figures"]["mape_pct"], self.document["names"]
        unknown = ("only parameters and MACs are known, not activations and layers",) if kind == "basic" else ()
        return [
            Figure(
                energy_mj=energy_mj,
                half_low=half + EXTRAPOLATION * gap.excess,
                half_high=half + EXTRAPOLATION * gap.excess,
                far=gap is not INSIDE or kind == "basic",
                mape_pct=mape_pct,
                reasons=(*gap.reasons, *unknown, f"nearest measured: {', '.join([names[i] for i in near])}"),
            )
            for energy_mj, half, near, gap in answers
        ]

    def _small(self, model: Features, gap: Distance) -> Figure:
        """Return the figure of a network that multiplies less than any measured one.

        It costs the overhead of one inference and its own work; at least that work alone, at most what the cheapest
        measured one cost. Both shares come from an additive fit to the measured rows.
        """
        number = "int8" if model.quantized else "float"
        overhead, *shares = self.document["cost"][number]
        own = max(sum(c * w for c, w in zip(shares, work(model)[1:], strict=True)), LEAST_MJ)
        energy_mj = overhead + own
        most = max(self.document["cheapest_mj"][number], energy_mj * math.exp(EXTRAPOLATION))
        return Figure(
            energy_mj=energy_mj,
            half_low=math.log(energy_mj / own),
            half_high=math.log(most / energy_mj),
            far=True,
            mape_pct=None,
            reasons=gap.reasons[:1],
        )
