"""What a list of devices selects and in which order, said once more over whole documents: the SQL is held to it."""

from controller.fleet import HEALTHS

FIGURES = {
    "health": lambda device: HEALTHS.index(device["health"]),
    "model": lambda device: device["runs"],
    "latency_p95_ms": lambda device: ((device["latest"] or {}).get("latency_ms") or {}).get("p95"),
    "energy_mj": lambda device: ((device["latest"] or {}).get("energy") or {}).get("energy_mj"),
    "temperature_c": lambda device: (device["latest"] or {}).get("temperature_c"),
}


def matches(document, *, q="", health="", tag="", device_type="", model=""):
    """Return whether a device's document is what a search asks for; `tag` is `key=value`, `model` what runs."""
    key, _, value = tag.partition("=")
    exactly = {"health": health, "device_type": device_type, "runs": model}
    if any(wanted and document[name] != wanted for name, wanted in exactly.items()):
        return False
    if tag and document["tags"].get(key) != value:
        return False
    words = (document["id"], document["device_type"], document["board"], document["runs"])
    return not q or any(q.lower() in (text or "").lower() for text in words)


def ordered(documents, order):
    """Return the documents of devices, given by id, in `order`; equals stay by id, who has no such figure is last."""
    name = order.removeprefix("-")
    figure = FIGURES.get(name, lambda device: device[name])
    known = [each for each in documents if figure(each) is not None]
    return sorted(known, key=figure, reverse=order.startswith("-")) + [
        each for each in documents if figure(each) is None
    ]
