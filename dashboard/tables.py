"""Documents as HTML tables: the counts, the fleet, deployments."""

from collections.abc import Iterable, Mapping
from typing import Any

from markupsafe import Markup

from dashboard import views, words
from dashboard.markup import EMPTY, health, join, link, mark, moment, number, phase, pill, spark, table, tag
from dashboard.markup import gauge as energy_gauge

Document = dict[str, Any]


def tiles(devices: Document, chosen: str, query: Mapping[str, str]) -> Markup:
    """Return the counts by health; each is a link that filters, and filters no more when chosen."""
    parts = [_tile("all", "devices", int(devices.get("total") or 0), not chosen, {**query, "health": ""})]
    for name, amount in views.counts(devices):
        aim = "" if name == chosen else name
        parts.append(_tile(name, words.HEALTH[name], amount, name == chosen, {**query, "health": aim}))
    return tag("div", join(parts), of="ew-tiles")


def fleet(devices: Iterable[Document], courses: Mapping[str, Mapping[str, list[float | None]]]) -> Markup:
    """Return the fleet's table; `courses` holds recent p95 latencies (ms) and energies (mJ) by device."""
    head = ["Device", "Health", "Model", "Latency p95", "Energy per inference", "Predicted", "Temperature", "Tags"]
    return table(head, [_fleet_row(each, courses.get(each["id"], {})) for each in devices], right=(3, 4, 5, 6))


def deployments(rows: Iterable[Document], now: float) -> Markup:
    """Return deployments, newest first as given."""
    head = ["Deployment", "Device", "Phase", "In it since", "Budget", "Predicted", "Came out at", "By"]
    return table(head, [_deployment_row(each, now) for each in rows], right=(4, 5, 6))


def legend() -> Markup:
    """Return what the marks of numbers mean."""
    kinds: tuple[tuple[words.Kind, str], ...] = (
        ("measured", "measured by a meter"),
        ("modelled", "modelled on the device"),
        ("simulated", "simulated"),
        ("predicted", "predicted before it ran"),
    )
    parts = [tag("span", join([mark(kind), text])) for kind, text in kinds]
    parts.append(tag("span", join([energy_gauge(6, 4, 8, 10), "interval, value, budget on one line"])))
    return tag("div", join(parts), of="ew-legend")


def predicted(document: Document | None) -> Markup:
    """Return a predicted interval with its mark; no number when support is too thin for one."""
    found = document or {}
    if found.get("low_mj") is None or found.get("high_mj") is None:
        known = found.get("energy_mj") is not None
        return number(found["energy_mj"], "mJ", "predicted") if known else tag("small", "no prediction")
    text = words.interval(found["low_mj"], found["high_mj"], "").strip()
    caution = {"low": " little like it", "proxy": " by a sibling"}.get(found.get("support") or "", "")
    return tag("span", join([text, tag("small", " mJ"), mark("predicted"), tag("small", caution)]), of="nowrap")


def labels(tags: dict[str, Any] | None) -> Markup:
    """Return tags as small boxes."""
    return join(tag("span", each, of="ew-tag") for each in words.tags(tags))


def _tile(name: str, label: str, amount: int, chosen: bool, query: Mapping[str, str]) -> Markup:
    of = "ew-tile" + (" on" if chosen and name != "all" else "") + (" all" if name == "all" else "")
    of += "" if amount else " zero"
    shape = tag("span", label, of="name") if name == "all" else health(name)
    return link(join([tag("b", f"{amount:,}"), shape]), "", of=of, title=words.HEALTH_MEANS.get(name, ""), **query)


def _fleet_row(device: Document, course: Mapping[str, list[float | None]]) -> list[Markup | str]:
    latest, ran = device.get("latest") or {}, views.predicted(device)
    latency, budget = (latest.get("latency_ms") or {}), device.get("budget") or {}
    spent, kind = views.energy(device)
    name = link(words.short(device["id"]), "device", id=device["id"], title=device["id"])
    board = tag("small", words.short(device.get("board") or device.get("device_type") or "", 34))
    age = device.get("reading_age_s")
    reason = device.get("health_reason") or ""
    seen = reason if device.get("health") == "asleep" else words.ago(age)
    state = [health(device.get("health", ""), reason), tag("small", seen)]
    line = energy_gauge(spent, ran.get("low_mj"), ran.get("high_mj"), budget.get("energy_mj"), kind or "")
    heat = latest.get("temperature_c")
    warm = tag("small", "throttled", of="ew-sub") if latest.get("throttled") else EMPTY
    old = aged(device.get("health"))
    return [
        tag("span", join([name, board]), of="stack"),
        tag("span", join(state), of="stack"),
        tag("span", join([views.model(device) or tag("span", "none", of="ew-none"), _drift(device)]), of="stack"),
        tag("span", join([_course(course, "latency_p95_ms"), number(latency.get("p95"), "ms")]), of=f"nowrap{old}"),
        tag("span", join([number(spent, "mJ", kind), line]), of=f"nowrap{old}"),
        predicted(ran),
        tag("span", join([number(heat, "°C"), warm]), of=f"nowrap{old}"),
        labels(device.get("tags")),
    ]


def aged(health: str | None) -> str:
    """Return the class of figures by their age: none for fresh ones, dashed for late, slanted and pale for old."""
    return {"live": "", "late": " ew-late"}.get(health or "", " ew-old")


def _course(course: Mapping[str, list[float | None]], field: str) -> Markup:
    line = spark(course.get(field, ()), "the last 15 min")
    return join([line, " "]) if line else EMPTY


def _drift(device: Document) -> Markup:
    drift = device.get("drift")
    if drift is None:
        return EMPTY
    return tag("span", pill(drift, "warn")) if words.out_of_step(drift) else tag("small", drift)


def _deployment_row(row: Document, now: float) -> list[Markup | str]:
    result = row.get("result") or {}
    name = link(row.get("model") or "", "deployments", id=row["id"], title=row["id"])
    made = join(["asked ", moment(row.get("created_at"), now)])
    came = number(result.get("energy_mj"), "mJ", words.kind_of(result.get("energy_source")))
    where = link(words.short(row["device_id"]), "device", id=row["device_id"], title=row["device_id"])
    when = words.promised(row.get("will_apply_at"), now)
    why = tag("small", when or words.short(row.get("reason") or "", 110), title=row.get("reason") or "")
    return [
        tag("span", join([name, tag("small", made)]), of="stack"),
        where,
        tag("span", join([phase(row.get("phase") or ""), why]), of="stack"),
        moment(row.get("since"), now),
        number(row.get("budget_mj"), "mJ"),
        predicted(row.get("predicted")),
        came,
        row.get("origin") or words.NOTHING,
    ]
