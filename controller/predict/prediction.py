"""The answer of a predictor, and the seam that everything asking for one depends on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from controller.predict.features import Features

Support = Literal["high", "proxy", "low", "none"]
"""`high`: measured on this board, inside its range; `proxy`: measured on a sibling of the board; `low`: far from
anything measured, so the interval is widened; `none`: nothing to go by, no figure."""

Basis = Literal["architecture", "latency"]
"""`architecture`: before anything ran; `latency`: with a latency measured on the board."""

Category = Literal["EXCELLENT", "GOOD", "ACCEPTABLE", "HIGH"]


MEASURE = "measure it on the device before relying on this figure: edgewatt devices measure ID MODEL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """Energy per inference on one type of device, in mJ, with a 95 % interval; all three None when support is none.

    `far`: the model lies outside of what was measured, whichever board it is for.
    """

    energy_mj: float | None
    low_mj: float | None
    high_mj: float | None
    support: Support
    reasons: tuple[str, ...] = ()
    predictor: str = ""
    basis: Basis = "architecture"
    category: Category | None = None
    recommendation: str = ""
    mape_pct: float | None = None
    far: bool = False


class Predictor(Protocol):
    """What the gate, the REST service and the catalogue need from a predictor."""

    def predict(self, features: Features, device_type: str) -> Prediction:
        """Return what `features` costs a device of `device_type`; never raises for an unknown type."""
        ...

    def predict_many(self, models: Sequence[Features], device_type: str) -> list[Prediction]:
        """Return a prediction for each of `models`, in order."""
        ...
