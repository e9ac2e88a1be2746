"""Derives the latency that a predicted energy implies: the two are tied by the power of the board."""

import math
from collections.abc import Sequence
from dataclasses import replace

from controller.predict.features import Features
from controller.predict.prediction import Prediction, Predictor

PROBES_S = (0.01, 0.1)
"""Two latencies that every board was measured at; the law between them is a power law."""


def implied_ms(
    models: Sequence[Features], predicted: Sequence[Prediction], predictor: Predictor, device_type: str
) -> list[float | None]:
    """Return the latency (ms) at which each model would cost what is predicted for it; None below support.

    The predictor answers energy for a given latency as board power times latency, a power law of the latency. Two
    questions give the law, its inverse the latency. On the networks of data/ with TFLite the median error is 3 to 7 %,
    on the RK3588S, whose rows mix two versions, 15 %.
    """
    sure = [i for i, said in enumerate(predicted) if said.energy_mj and said.support in {"high", "proxy"}]
    asked = [replace(models[i], latency_avg_s=s, throughput_iter_per_s=None) for s in PROBES_S for i in sure]
    answers = [said.energy_mj for said in predictor.predict_many(asked, device_type)] if asked else []
    found: list[float | None] = [None] * len(models)
    for place, (i, near, far) in enumerate(zip(sure, answers[: len(sure)], answers[len(sure) :], strict=True)):
        del place
        found[i] = _inverse(predicted[i].energy_mj, near, far)
    return found


def _inverse(energy_mj: float | None, near_mj: float | None, far_mj: float | None) -> float | None:
    if not energy_mj or not near_mj or not far_mj or far_mj <= near_mj:
        return None
    slope = math.log(far_mj / near_mj) / math.log(PROBES_S[1] / PROBES_S[0])
    return float(PROBES_S[0] * (energy_mj / near_mj) ** (1 / slope) * 1e3)
