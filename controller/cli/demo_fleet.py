"""The devices of the demo, what each runs first, and which command to type first."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count, islice, product
from typing import Any

from controller.client import Client


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoDevice:
    """A simulated device; its first budget is `margin` times what its first model costs there."""

    id: str
    device_type: str
    line: str
    model: str
    margin: float = 3.0
    heats_up: bool = False


BELOW_THE_DEAR = 0.8

FIRST = (
    DemoDevice(id="jetson-1", device_type="jetson_nano_2gb", line="A", model="digits_cnn_l"),
    DemoDevice(id="pi5-1", device_type="raspberry_pi_5", line="A", model="digits_cnn_l"),
    DemoDevice(id="pi5-2", device_type="raspberry_pi_5", line="B", model="digits_cnn_l", margin=1.6, heats_up=True),
    DemoDevice(id="pi4-1", device_type="raspberry_pi_4", line="B", model="digits_cnn_s"),
    DemoDevice(id="bbb-1", device_type="beaglebone_black", line="B", model="digits_cnn_s"),
)

_MORE = (
    DemoDevice(id="pi5", device_type="raspberry_pi_5", line="A", model="digits_cnn_s"),
    DemoDevice(id="pi4", device_type="raspberry_pi_4", line="B", model="digits_cnn_s"),
    DemoDevice(id="jetson", device_type="jetson_nano_2gb", line="A", model="digits_cnn_s"),
    DemoDevice(id="bbb", device_type="beaglebone_black", line="B", model="digits_cnn_s"),
)


def fleet(devices: int) -> tuple[DemoDevice, ...]:
    """Return the first `devices` devices of the demo; ids are unique and stable."""
    return tuple(islice(_all(), devices))


def first_budget_mj(verdict: Mapping[str, Any], margin: float) -> float | None:
    """Return `margin` times what the gate knows of a model's cost, mJ per inference; None when it knows nothing."""
    high_mj = verdict.get("high_mj")
    return None if not high_mj else round_up(high_mj * margin)


def round_up(value: float, digits: int = 3) -> float:
    """Return `value` rounded up to `digits` significant ones."""
    if value <= 0:
        return value
    step = 10.0 ** (math.floor(math.log10(value)) - digits + 1)
    return float(f"{math.ceil(value / step - 1e-9) * step:.{digits}g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A command to try first: `model` within `budget_mj` runs on one device and is refused on another."""

    model: str
    budget_mj: float
    fits_on: str
    refused_on: str

    def payload(self) -> str:
        """Return the command as it is typed."""
        return f'{{"op":"deploy","model":"{self.model}","max_energy_mj":{self.budget_mj:g}}}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What the gate knows of a model on a device, mJ per inference: its prediction, or what was measured there."""

    low_mj: float
    high_mj: float
    predicted: bool = True


Costs = Mapping[tuple[str, str], Cost]
"""(device, model) → cost."""


def find_trial(costs: Costs) -> Trial | None:
    """Return the clearest trial among `costs`; None when nothing divides.

    It is refused by prediction where a smaller model would fit. The budget lies nearer to the dear device's lower end,
    so that the cheap one keeps it when it is measured, too.
    """
    best: tuple[float, Trial] | None = None
    for (dear, model), dearer in costs.items():
        budget_mj = round_up(dearer.low_mj * BELOW_THE_DEAR, 2)
        if not dearer.predicted or not budget_mj < dearer.low_mj or not _something_fits(costs, dear, budget_mj):
            continue
        for (cheap, other), cheaper in costs.items():
            ratio = dearer.low_mj / cheaper.high_mj
            if other == model and cheaper.high_mj <= budget_mj and (best is None or ratio > best[0]):
                best = ratio, Trial(model=model, budget_mj=budget_mj, fits_on=cheap, refused_on=dear)
    return best[1] if best else None


def ask_costs(client: Client, devices: Iterable[str], models: Iterable[str]) -> dict[tuple[str, str], Cost]:
    """Ask the gate of `client` what each of `models` would cost on each of `devices`; unknown ones are left out."""
    found = {}
    for device, model in product(devices, models):
        verdict = client.deploy(device, model, dry_run=True)["verdict"]
        if verdict.get("low_mj") and verdict.get("high_mj"):
            predicted = verdict.get("basis") != "measurement"
            found[device, model] = Cost(low_mj=verdict["low_mj"], high_mj=verdict["high_mj"], predicted=predicted)
    return found


def _something_fits(costs: Costs, device: str, budget_mj: float) -> bool:
    return any(cost.high_mj <= budget_mj for (where, _), cost in costs.items() if where == device)


def _all() -> Iterator[DemoDevice]:
    yield from FIRST
    taken = {"jetson": 1, "pi5": 2, "pi4": 1, "bbb": 1}
    for lap in count(1):
        for kind in _MORE:
            number = taken[kind.id] + lap
            yield DemoDevice(id=f"{kind.id}-{number}", device_type=kind.device_type, line=kind.line, model=kind.model)
