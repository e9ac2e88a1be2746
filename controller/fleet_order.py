"""In which order devices are listed; pure."""

from collections.abc import Callable, Iterable
from typing import Any, Literal

from controller.fleet import HEALTHS, Row

Order = Literal[
    "id",
    "-id",
    "health",
    "-health",
    "reading_age_s",
    "-reading_age_s",
    "device_type",
    "-device_type",
    "model",
    "-model",
    "latency_p95_ms",
    "-latency_p95_ms",
    "energy_mj",
    "-energy_mj",
    "temperature_c",
    "-temperature_c",
]
"""What a list of devices can be sorted by; a minus puts the greatest first. Who has no such figure comes last."""

_FIGURES: dict[str, Callable[[Row], Any]] = {
    "id": lambda device: device["id"],
    "health": lambda device: HEALTHS.index(device["health"]),
    "reading_age_s": lambda device: device["reading_age_s"],
    "device_type": lambda device: device["device_type"],
    "model": lambda device: device["runs"],
    "latency_p95_ms": lambda device: _told(device, "latency_ms").get("p95"),
    "energy_mj": lambda device: _told(device, "energy").get("energy_mj"),
    "temperature_c": lambda device: (device["latest"] or {}).get("temperature_c"),
}


def ordered(documents: Iterable[Row], order: Order) -> list[Row]:
    """Return the documents of devices, given by id, in `order`; equals stay by id."""
    figure = _FIGURES[order.removeprefix("-")]
    known: list[Row] = []
    unknown: list[Row] = []
    for document in documents:
        (unknown if figure(document) is None else known).append(document)
    return sorted(known, key=figure, reverse=order.startswith("-")) + unknown


def _told(device: Row, part: str) -> Row:
    return (device["latest"] or {}).get(part) or {}
