"""One device in HTML: who it is, its figures now, its answers, how deployments went, what it said."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from markupsafe import Markup

from dashboard import diary, history, tables, views, words
from dashboard.markup import EMPTY, facts, gauge, health, join, mark, moment, number, pill, spark, table, tag

Document = dict[str, Any]

STEPS_SHOWN = 10


def header(device: Document) -> Markup:
    """Return the device's name, health and nature."""
    about = [device.get("board") or device.get("device_type") or "unknown board", device.get("ip") or ""]
    about.append(f"agent {device['agent_version']}" if device.get("agent_version") else "")
    parts = [health(device.get("health", ""), device.get("health_reason") or "")]
    parts.append(tag("small", f"{device.get('health_reason') or ''}"))
    if device.get("simulated"):
        parts.append(pill("simulated device", "mute", "Its sensors are made up; its inference is real."))
    parts.append(tables.labels(device.get("tags")))
    lines = [tag("h1", device["id"]), tag("p", " · ".join(each for each in about if each))]
    return tag("div", join([*lines, tag("div", join(parts, Markup(" ")), of="ew-strip")]), of="ew-title")


def now_cards(device: Document, series: Sequence[Document]) -> Markup:
    """Return the figures of the newest sample with their units, and their last 15 minutes as lines."""
    latest = device.get("latest") or {}
    power = (latest.get("energy") or {}).get("power_mw")
    kind = words.kind_of((latest.get("energy") or {}).get("source"))
    cards = [
        _spent(device),
        _timed(latest.get("latency_ms") or {}),
        ("Temperature", number(latest.get("temperature_c"), "°C"), _hot(latest), "temperature_c"),
        ("CPU", number(latest.get("cpu_usage_percent"), "%"), EMPTY, "cpu_usage_percent"),
        (
            "Memory",
            number(latest.get("ram_usage_mb"), "MB"),
            _aside("", latest.get("ram_usage_percent"), "%"),
            "ram_usage_mb",
        ),
        ("Storage used", number(latest.get("storage_usage_mb"), "MB"), EMPTY, "storage_usage_mb"),
        ("Power", number(power, "mW", kind), EMPTY, "power_mw"),
        *_battery(latest, device.get("power") or {}),
        ("Up for", tag("b", words.span(latest.get("uptime_seconds")), of="ew-n"), EMPTY, EMPTY),
    ]
    return tag("div", join(_card(*card, series) for card in cards), of=f"ew-cards{tables.aged(device.get('health'))}")


def _spent(device: Document) -> tuple[str, Markup, Markup, Markup]:
    ran, limit = views.predicted(device), (device.get("budget") or {}).get("energy_mj")
    spent, kind = views.energy(device)
    line = gauge(spent, ran.get("low_mj"), ran.get("high_mj"), limit, kind or "")
    return "Energy per inference", number(spent, "mJ", kind, spell=True), _against(limit), line


def _timed(latency: Document) -> tuple[str, Markup, Markup, str]:
    rest = [f"{name} {words.amount(latency[name], 'ms')}" for name in ("p50", "max") if latency.get(name) is not None]
    return "Latency p95", number(latency.get("p95"), "ms"), tag("small", " · ".join(rest)), "latency_p95_ms"


def _hot(latest: Document) -> Markup:
    return pill("throttled", "warn", "The board slowed itself down.") if latest.get("throttled") else EMPTY


def _battery(latest: Document, power: Document) -> list[tuple[str, Markup, Markup, str]]:
    """Return the card of the battery, none for a board that reports none."""
    soc, charging = latest.get("soc_pct", power.get("soc_pct")), latest.get("charging", power.get("charging"))
    if soc is None:
        return []
    says = {None: "", True: "charging", False: "not charging"}[charging]
    return [("Battery", number(soc, "%"), tag("small", says), "soc_pct")]


def model_now(device: Document) -> Markup:
    """Return which model runs, whether that is what is wanted, and whether the prediction held."""
    active, previous = device.get("active") or {}, device.get("previous") or {}
    runtime = f" · {active.get('runtime')}" if views.model(device) == active.get("model") else " · governed"
    running = [tag("b", views.model(device)), tag("small", runtime)] if active else ["none"]
    wrong = words.out_of_step(device.get("drift"))
    pairs: list[tuple[str, Markup | str]] = [
        ("Runs", join(running)),
        ("Wanted", pill(wrong, "warn") if wrong else _wanted(device)),
        ("Prediction", join([mark("predicted"), " ", views.agreement(device)])),
    ]
    if device.get("governor"):
        pairs.append(("Governor", _governor(device)))
    if device.get("serves"):
        pairs.append(("Serves", device["serves"]))
    if previous:
        pairs.append(("To fall back on", previous.get("model") or ""))
    return tag("div", facts(pairs), of="ew-panel")


def _wanted(device: Document) -> str:
    """Return what is said of a device that is as it should be."""
    if str(device.get("drift") or "").startswith("governed: "):
        return f"{(device.get('active') or {}).get('model')}, when the governor lets it run again"
    return device.get("drift") or "nothing is wanted of it"


def _governor(device: Document) -> Markup:
    """Say on which rung the governor stands, what brought it there, and what it changes."""
    governor = device["governor"]
    rung = f"rung {governor['rung']} of {governor['of']}"
    told = [each for each in (governor.get("reason"), device.get("governed") or "nothing is changed") if each]
    return join([pill(rung, "warn" if governor.get("fault") else "mute"), " ", "; ".join(told)])


def answers(device: Document, said: Sequence[history.Said], now: float) -> Markup:
    """Return the model's latest answers beside the truth, and its top-1 so far."""
    latest = device.get("latest") or {}
    if not said and latest.get("answer"):
        said = history.answers({"telemetry": [{"payload": latest}]})
    if not said:
        return tag("p", tag("small", "The running model has not told an answer yet."))
    top1 = latest.get("top1_pct")
    line = "" if top1 is None else f"top-1 {words.amount(top1, '%')} of the labelled samples so far"
    return join([tag("div", join(_answer(each, now) for each in said[:STEPS_SHOWN]), of="ew-says"), tag("small", line)])


def about(device: Document) -> Markup:
    """Return what the device told of itself at birth."""
    info = device.get("info") or {}
    runtimes = ", ".join(f"{each.get('name')} {each.get('version')}" for each in device.get("runtimes") or [])
    sensor = info.get("power_sensor") or {}
    pairs = [
        ("Type", device.get("device_type") or words.NOTHING),
        ("Processor", f"{info.get('cpu') or words.NOTHING} × {info.get('cpu_count') or '?'}"),
        ("Memory", words.amount(info.get("ram_mb"), "MB", 5)),
        ("System", f"{info.get('os') or words.NOTHING} {info.get('arch') or ''}"),
        ("Runtimes", runtimes or words.NOTHING),
        ("Formats", ", ".join(device.get("formats") or []) or words.NOTHING),
        ("Power meter", sensor.get("source") or "none: its energy is not measured"),
        ("Predictions", _calibrated(device.get("calibration"))),
        ("Gaps in telemetry", f"{device.get('gaps') or 0}"),
        ("Refused messages", str(sum((device.get("refused") or {}).values()))),
        ("Approved", "yes" if device.get("approved", True) else "not yet"),
    ]
    return tag("div", facts(pairs), of="ew-panel")


def messages(rows: Iterable[Document], now: float) -> Markup:
    """Return the messages of one topic: when, what they say or why they were refused, and the payload as it came."""
    lines = []
    for each in rows:
        gist = tag("b", history.gist(str(each.get("topic") or ""), each.get("payload")), of="ew-n")
        wrong = join([pill("refused", "bad"), f" {each['error']} "]) if each.get("error") else EMPTY
        raw = _raw(each.get("payload"))
        payload = tag("div", words.short(raw, 600), of="ew-raw ew-clamp", title=raw)
        lines.append([tag("span", moment(each.get("at"), now), of="nowrap"), join([wrong, gist, payload])])
    return table(["When", "What it says, and the payload as it came"], lines)


def logs(rows: Iterable[Document], now: float) -> Markup:
    """Return what the device logged and what happened to it."""
    lines = []
    for each in map(diary.told, rows):
        tone = diary.TONES.get(each["level"], "mute")
        lines.append([moment(each["ts"], now), pill(words.phase(each["type"]), tone, each["level"]), each["message"]])
    return table(["When", "Kind", "Line"], lines)


def told_and_came(entries: Iterable[Document], now: float) -> Markup:
    """Return what was predicted for models on this device and what they then cost, newest first as given."""
    rows = []
    for each in entries:
        kind = words.kind_of(each.get("source"))
        inside = {None: ("", ""), True: ("inside", "good"), False: ("outside", "warn")}[each.get("inside")]
        rows.append(
            [
                tag("b", words.short(each["model"]), title=each["model"]),
                tables.predicted({**each, "energy_mj": each.get("predicted_mj")}),
                number(each.get("actual_mj"), "mJ", kind),
                join([pill(*inside) if inside[0] else EMPTY, " ", number(each.get("error_percent"), "%")]),
                moment(each.get("at"), now),
            ]
        )
    return table(["Model", "Predicted", "Came out at", "Error of the prediction", "When"], rows, right=(1, 2, 3))


def _calibrated(found: Document | None) -> str:
    """Say whether what is predicted for a device rests on what it measured, and how far off that is."""
    if not found:
        return "those of its board; calibrate it for its own"
    error = "" if found.get("after_percent") is None else f", {words.amount(found['after_percent'], '%')} off"
    return f"calibrated on it{error}{' (simulated)' if found.get('simulated') else ''}"


def _against(limit: float | None) -> Markup:
    return tag("small", f"budget {words.amount(limit, 'mJ')}" if limit is not None else "no budget")


def _aside(name: str, value: float | None, unit: str) -> Markup:
    return tag("small", f"{name} {words.amount(value, unit)}".strip()) if value is not None else EMPTY


def _card(name: str, big: Markup, aside: Markup, below: Markup | str, series: Sequence[Document]) -> Markup:
    line = below if isinstance(below, Markup) else spark(history.course(series, below), "the last 15 min")
    return tag("div", join([tag("span", name, of="name"), tag("div", big, of="big"), aside, line]), of="ew-card")


def _answer(said: history.Said, now: float) -> Markup:
    sure = "" if said.confidence is None else f" {said.confidence:.0%}"
    judged = {True: "right", False: f"wrong, is {said.truth}", None: "no label"}[said.right]
    of = "ew-say bad" if said.right is False else "ew-say"
    parts = [tag("b", words.short(said.label, 24)), tag("small", sure), tag("small", judged, of="ew-sub")]
    return tag("div", join(parts), of=of, title=words.since(said.ts, now))


def _raw(payload: Any) -> str:
    return payload if isinstance(payload, str) else json.dumps(payload)
