"""REST documents as tables; pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from broker import local_policy
from broker.conditions import in_words
from controller.cli.console import Table
from controller.cli.figures import ABSENT, ago, clock, interval, mj, number, promised, span, text
from controller.limits import Limits

Document = Mapping[str, Any]


def devices(found: Iterable[Document]) -> Table:
    """Return one row per device: two axes, health and drift, and the newest figures with their age."""
    columns = ("device", "type", "health", "reading", "model", "drift", "energy", "source", "budget", "temp", "tags")
    return Table(columns=columns, rows=[_device_row(device) for device in found])


def device(document: Document) -> list[Table]:
    """Return what is known of one device, as facts, deployments and the newest log lines."""
    return [
        Table(columns=("what", "value"), rows=_device_facts(document)),
        deployments(document.get("deployments") or (), title="deployments"),
        logs(document.get("logs") or (), title="log"),
    ]


def deployments(found: Iterable[Document], title: str = "") -> Table:
    """Return one row per deployment, with how long it has been in its phase and why."""
    columns = ("deployment", "device", "model", "phase", "since", "attempt", "budget", "predicted", "by", "reason")
    return Table(columns=columns, rows=[_deployment_row(each) for each in found], title=title)


def deployment(document: Document) -> list[Table]:
    """Return one deployment and its life."""
    result, predicted = document.get("result") or {}, document.get("predicted") or {}
    measured = f"{mj(result.get('energy_mj'))} ({result.get('energy_source')})" if result.get("energy_mj") else ABSENT
    facts = [
        ("deployment", document["id"]),
        ("device", document["device_id"]),
        ("model", document["model"]),
        ("phase", f"{document['phase']} {ago(document.get('since'))}"),
        ("reason", _why(document)),
        ("begins when", text(in_words(document.get("when") or {}))),
        ("budget", f"{mj(document.get('budget_mj'))}, p95 {number(document.get('latency_ms'), 'ms')}"),
        ("predicted", f"{mj(predicted.get('energy_mj'))} ({predicted_interval(predicted)})"),
        ("on the device", measured),
        ("latency p95", number(result.get("latency_p95_ms"), "ms")),
        ("forced because", text(document.get("forced_reason"))),
    ]
    events = [
        (clock(each.get("at")), each["phase"], text(each.get("who")), text(each.get("reason")))
        for each in document.get("events") or ()
    ]
    return [
        Table(columns=("what", "value"), rows=facts),
        Table(columns=("at", "phase", "by", "reason"), rows=events, title="life"),
    ]


def predictions(found: Iterable[tuple[str, Document]]) -> Table:
    """Return one row per board: a figure with its interval, or why there is none."""
    rows = [
        (
            board,
            mj(each.get("energy_mj")),
            predicted_interval(each),
            text(each.get("support")),
            text(each.get("category")),
            text(each.get("predictor")),
            text(each.get("recommendation") or "; ".join(each.get("reasons") or ())),
        )
        for board, each in found
    ]
    return Table(columns=("board", "energy", "95 %", "support", "category", "predictor", "advice"), rows=rows)


def logs(found: Iterable[Document], title: str = "") -> Table:
    """Return one row per line of a device's log."""
    rows = [(clock(_at(each)), text(each.get("type") or each.get("level")), _message(each)) for each in found]
    return Table(columns=("at", "type", "message"), rows=rows, title=title)


def events(found: Iterable[Document]) -> Table:
    """Return one row per event of the fleet."""
    return Table(columns=("at", "type", "device", "by", "message"), rows=[event(each) for each in found])


def event(document: Document) -> tuple[str, ...]:
    """Return one event of the fleet as cells."""
    return (
        clock(_at(document)),
        text(document.get("type")),
        text(document.get("device_id")),
        text(document.get("who")),
        _message(document),
    )


def messages(by_suffix: Mapping[str, Iterable[Document]]) -> Table:
    """Return the newest messages of a device, each with what was wrong with it."""
    rows = [
        (clock(each.get("at")), text(each.get("topic")), text(each.get("error")), text(each.get("payload")))
        for found in by_suffix.values()
        for each in found
    ]
    return Table(columns=("at", "topic", "error", "payload"), rows=sorted(rows))


def _broker(broker: Document) -> str:
    if broker.get("connected"):
        return f"connected {text(broker.get('url'))}"
    return f"NOT CONNECTED {text(broker.get('url'))}: {text(broker.get('last_loss'))}"


def status(document: Document) -> list[Table]:
    """Return one screen: who is up, the fleet by health, what moves."""
    broker, received = document.get("broker") or {}, document.get("messages") or {}
    controller = document.get("controller") or {}
    role = text(controller.get("role"))
    refused = sum((received.get("refused") or {}).values())
    facts = [
        ("controller", f"{text(controller.get('version'))}, {role}, up for {span(controller.get('uptime_s'))}"),
        ("broker", _broker(broker)),
        ("messages", f"{received.get('received', 0):,} received, {refused:,} refused"),
        ("open rollouts", text((document.get("rollouts") or {}).get("open"))),
        ("open alerts", _alerts(document.get("alerts"))),
        ("database", _database(document.get("storage") or {})),
        ("last message", f"{span(received.get('last_age_s'))} ago" if received.get("last_at") else ABSENT),
    ]
    return [
        Table(columns=("what", "value"), rows=facts),
        Table(columns=("health", "devices"), rows=_counts(document.get("devices"))),
        Table(columns=("deployments", "count"), rows=_counts(document.get("deployments"))),
    ]


def predicted_interval(prediction: Document) -> str:
    """Return the 95 % interval of a prediction."""
    return interval(prediction.get("low_mj"), prediction.get("high_mj"))


def _alerts(counts: Document | None) -> str:
    """Return how many alerts need somebody, and how many others are open."""
    if counts is None:
        return ABSENT
    others = ", ".join(f"{counts[view]:,} {view}" for view in ("acknowledged", "silenced") if counts.get(view))
    worst = f"{counts['open']:,} ({counts['critical']:,} critical)" if counts["open"] else "none"
    return f"{worst}, {others}" if others else worst


def _database(storage: Document) -> str:
    if "database_mb" not in storage:
        return ABSENT
    oldest = storage.get("oldest_sample_age_s")
    since = "no telemetry" if oldest is None else f"telemetry of the last {span(oldest)}"
    return f"{storage['database_mb']:,.0f} of {storage['max_database_mb']:,.0f} MB, {since}"


def _counts(counts: Document | None) -> list[tuple[str, str]]:
    return [(name, f"{count:,}") for name, count in (counts or {}).items()]


def _device_row(device: Document) -> tuple[str, ...]:
    latest, budget = device.get("latest") or {}, device.get("budget") or {}
    energy = latest.get("energy") or {}
    over = " OVER" if budget.get("status") == "over_budget" else ""
    return (
        device["id"],
        text(device.get("device_type")),
        text(device.get("health")),
        span(device.get("reading_age_s")),
        text(device.get("runs") or (device.get("active") or {}).get("model")),
        text(device.get("drift")),
        mj(energy.get("energy_mj")),
        text(energy.get("source")),
        f"{mj(budget.get('energy_mj'))}{over}",
        number(latest.get("temperature_c"), "°C"),
        _tags(device),
    )


def _governor(device: Document) -> str:
    governor = device["governor"]
    why = f", {ago(governor['since'])}: {governor['reason']}" if governor.get("reason") else ""
    return f"rung {governor['rung']} of {governor['of']}{why}; {device.get('governed') or 'nothing is changed'}"


def _device_facts(device: Document) -> list[tuple[str, str]]:
    latest, budget, predicted = (device.get(key) or {} for key in ("latest", "budget", "predicted"))
    latency, energy = latest.get("latency_ms") or {}, latest.get("energy") or {}
    active, previous = device.get("active") or {}, device.get("previous") or {}
    running = text(device.get("runs") or active.get("model"))
    runtimes = ", ".join(f"{each['name']} {each.get('version', '')}" for each in device.get("runtimes") or ())
    return [
        ("device", device["id"] + (" (simulated)" if device.get("simulated") else "")),
        ("health", f"{text(device.get('health'))}: {text(device.get('health_reason'))}"),
        ("board", f"{text(device.get('board'))} ({text(device.get('device_type'))})"),
        ("tags", _tags(device)),
        ("its own policy", local_policy.in_words(Limits.of(device["id"], device.get("info")).policy)),
        ("runtimes", runtimes or ABSENT),
        ("last reading", f"{span(device.get('reading_age_s'))} ago" if device.get("latest") else "never"),
        ("model", f"{running} ({text(device.get('phase'))}), {text(device.get('drift'))}"),
        *([("governor", _governor(device))] if device.get("governor") else []),
        *([("serves", device["serves"])] if device.get("serves") else []),
        ("before", text(previous.get("model"))),
        ("latency", f"p50 {number(latency.get('p50'), 'ms')}, p95 {number(latency.get('p95'), 'ms')}"),
        ("energy", f"{mj(energy.get('energy_mj'))} per inference (source: {text(energy.get('source'))})"),
        ("predicted", f"{mj(predicted.get('energy_mj'))} ({predicted_interval(predicted)})" if predicted else ABSENT),
        ("budget", f"{mj(budget.get('energy_mj'))}: {text(budget.get('status'))}" if budget else ABSENT),
        ("temperature", number(latest.get("temperature_c"), "°C")),
        ("gaps in readings", text(device.get("gaps"))),
    ]


def _deployment_row(each: Document) -> tuple[str, ...]:
    predicted = each.get("predicted") or {}
    return (
        each["id"],
        each["device_id"],
        each["model"],
        each["phase"],
        ago(each.get("since")),
        text(each.get("attempt")),
        mj(each.get("budget_mj")),
        predicted_interval(predicted),
        text(each.get("origin")),
        _why(each),
    )


def _why(deployment: Document) -> str:
    return text(f"{deployment.get('reason') or ''}{promised(deployment)}".removeprefix("; "))


def _tags(device: Document) -> str:
    return " ".join(f"{key}={value}" for key, value in (device.get("tags") or {}).items()) or ABSENT


def _at(event: Document) -> float | None:
    return event.get("at") or event.get("ts")


def _message(event: Document) -> str:
    return text(event.get("text") or event.get("message") or event.get("msg") or event.get("reason"))
