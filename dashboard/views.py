"""What the documents of devices mean: counts, tags, energy beside its prediction. Pure."""

from collections.abc import Iterable
from typing import Any

from dashboard import words

Document = dict[str, Any]

HEALTHS = ("live", "late", "silent", "asleep", "offline", "never_seen")


def counts(devices: Document) -> list[tuple[str, int]]:
    """Return how many devices have each health, in the order of the words."""
    return [(health, int(devices.get(health) or 0)) for health in HEALTHS]


def aged(documents: Iterable[Document], held_s: float) -> list[Document]:
    """Return documents with their readings older by as long as the answer has been held."""
    return [
        each if each.get("reading_age_s") is None else each | {"reading_age_s": each["reading_age_s"] + held_s}
        for each in documents
    ]


def known_tags(devices: Iterable[Document]) -> list[str]:
    """Return every `key=value` that some device carries."""
    return sorted({tag for device in devices for tag in words.tags(device.get("tags"))})


def refused_messages(messages: Document) -> int:
    """Return how many messages the controller could not accept."""
    return sum(int(count) for count in (messages.get("refused") or {}).values())


def energy(device: Document) -> tuple[float | None, words.Kind | None]:
    """Return the newest energy of one inference, mJ, and what kind of number it is."""
    told = (device.get("latest") or {}).get("energy") or {}
    budget = device.get("budget") or {}
    if told.get("energy_mj") is not None:
        return told["energy_mj"], words.kind_of(told.get("source"))
    return budget.get("latest_mj"), words.kind_of(budget.get("source"))


def model(device: Document) -> str:
    """Return the name of the running model, or nothing."""
    return str(device.get("runs") or (device.get("active") or {}).get("model") or "")


def predicted(device: Document) -> Document:
    """Return the prediction for the model that runs; one made for another model says nothing of it."""
    wanted = (device.get("desired") or {}).get("model")
    return device.get("predicted") or {} if wanted and wanted == model(device) else {}


def agreement(device: Document) -> str:
    """Say in words whether the newest energy lies within the prediction."""
    value, kind = energy(device)
    said = predicted(device)
    low, high = said.get("low_mj"), said.get("high_mj")
    now = "" if value is None else f"{kind or 'reported'} {words.amount(value, 'mJ')}"
    if low is None or high is None:
        return f"no prediction; {now}" if now else "no prediction, and no figure from the device"
    before = f"predicted {words.interval(low, high)}"
    if value is None:
        return f"{before}, nothing from the device yet"
    if low <= value <= high:
        return f"{before}, {now}: inside"
    bound = high if value > high else low
    side = "above" if value > high else "below"
    return f"{before}, {now}: {abs(value / bound - 1):.0%} {side}" if bound else f"{before}, {now}: {side}"
