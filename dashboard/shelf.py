"""The catalogue of models as rows: facts, what they are predicted to cost, where they run."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from markupsafe import Markup

from dashboard import tables, views, words
from dashboard.markup import EMPTY, join, link, number, pill, table, tag

Document = dict[str, Any]

NAMED_UP_TO = 30
"""More names than this would hide the dots of a chart."""

_GAP = Markup(" ")


def predictions(models: Iterable[Document]) -> dict[str, Document]:
    """Return the prediction of each model that the controller had one for."""
    said = {each["name"]: each.get("prediction") or {} for each in models}
    return {name: prediction for name, prediction in said.items() if prediction.get("energy_mj") is not None}


def spots(models: Iterable[Document], forecast: Mapping[str, Document]) -> list[Document]:
    """Return the models that have both an accuracy and a prediction, for the map."""
    return [
        {"name": each["name"], "top1_pct": each["top1_pct"]}
        | {key: forecast[each["name"]].get(key) for key in ("energy_mj", "low_mj", "high_mj")}
        for each in models
        if each.get("top1_pct") is not None and each["name"] in forecast
    ]


def where(devices: Iterable[Document]) -> dict[str, Counter[str]]:
    """Return how many devices of each health run each model."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for device in devices:
        if views.model(device):
            found[views.model(device)][device.get("health") or ""] += 1
    return found


def catalogue(
    models: Iterable[Document], forecast: Mapping[str, Document], running: Mapping[str, Counter[str]]
) -> Markup:
    """Return the catalogue's table."""
    head = ["Model", "Stored", "Size", "MACs", "Parameters", "Top-1", "Predicted per inference", "Runs on", ""]
    rows = [_row(each, forecast.get(each["name"]), running.get(each["name"], Counter())) for each in models]
    return table(head, rows, right=(2, 3, 4, 5, 6, 7))


def boards(devices: Iterable[Document]) -> list[str]:
    """Return the types of board in the fleet, the most common first."""
    found = Counter(device["device_type"] for device in devices if device.get("device_type"))
    return [name for name, _ in sorted(found.items(), key=lambda each: (-each[1], each[0]))]


def _scaled(value: float | None, unit_size: float, unit: str) -> Markup:
    shown, prefix = words.scaled(None if value is None else value * unit_size)
    return number(shown, f"{prefix}{unit}")


def _row(model: Document, said: Document | None, running: Counter[str]) -> list[Markup | str]:
    origin = " · ".join(each for each in (model.get("family") or "", model.get("source") or "") if each)
    name = tag("b", _name(model), title=model["name"])
    return [
        tag("span", join([name, tag("small", words.short(origin, 60))]), of="stack"),
        _places(model),
        _scaled(model.get("size_mb"), 1e6, "B"),
        _scaled(model.get("gmacs"), 1e9, ""),
        _scaled(model.get("params_m"), 1e6, ""),
        _accuracy(model),
        tables.predicted(said),
        runs_on(running),
        link("deploy it", "deploy", of="ew-go nowrap", model=model["name"]),
    ]


def _name(model: Document) -> Markup:
    """Return a model's name, a link to its versions where it is stored, and that it has several or a promoted one."""
    shown = words.short(model["name"])
    if not model.get("stored"):
        return tag("span", shown)
    promoted, several = model.get("promoted_sha256"), (model.get("versions") or 1) > 1
    told = pill("promoted", "good", model.get("means") or "") if promoted else EMPTY
    told = (
        pill(words.count(model["versions"], "version"), "mute", model.get("means") or "")
        if several and not promoted
        else told
    )
    return join([link(shown, "models", model=model["name"]), told], _GAP)


def runs_on(running: Counter[str]) -> Markup | str:
    """Return how many devices run a model, and how many of them are not live."""
    if not running:
        return words.NOTHING
    other = ", ".join(
        f"{running[health]} {words.HEALTH[health]}" for health in views.HEALTHS if health != "live" and running[health]
    )
    parts = [tag("span", words.count(running.total(), "device")), tag("small", other)]
    return tag("span", join(parts), of="stack")


def _places(model: Document) -> Markup:
    """Return the formats that a model is stored in, each with its file on hover, or that it is not."""
    stored = [
        pill(each["format"], "good", f"{words.megabytes(each['size'])}, SHA-256 {each['sha256']}")
        for each in model.get("artifacts") or ()
    ]
    return join(
        stored or [pill("not stored", "mute", "Nobody made it yet; its figures are of the architecture.")], _GAP
    )


def _accuracy(model: Document) -> Markup:
    """Return top-1 with who says so on hover; an untrained network has none."""
    if model.get("trained") is False:
        return pill("untrained", "warn", "Its answers mean nothing.")
    return tag("span", number(model.get("top1_pct"), "%"), title=model.get("top1_source") or "")
