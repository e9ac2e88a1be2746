"""Figures for Prometheus: the fleet, what came in, how deployments stand, how far predictions are off."""

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import APIRouter, Response

from controller.api.described import RESPONSES
from controller.api.parts import Given, Parts
from controller.logs import REFUSALS

router = APIRouter(tags=["system"], responses=RESPONSES)


@router.get("/metrics", response_class=Response)
async def metrics(parts: Given) -> Response:
    """Return every figure in Prometheus's text format."""
    from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest  # noqa: PLC0415 - on use

    registry = CollectorRegistry()
    registry.register(Figures(parts))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


class Figures:
    """Looks at the controller when it is asked, so nothing has to be counted twice."""

    def __init__(self, parts: Parts) -> None:
        """Look at `parts`."""
        self._parts = parts

    def describe(self) -> list[Any]:
        """Say nothing before it is asked: there is one look for each question."""
        return []

    def collect(self) -> Iterator[Any]:
        """Yield each figure with its labels."""
        yield from self._controller()
        yield from self._fleet()
        yield from self._messages()
        yield from self._deployments()
        yield from self._predictor()
        yield from self._alerts()

    def _controller(self) -> Iterator[Any]:
        parts, ingest = self._parts, self._parts.ingest
        yield _gauge("build_info", "The version that runs.", {(parts.version,): 1}, "version")
        yield _gauge("start_time_seconds", "When the controller began, Unix s.", {(): parts.started_at})
        yield _gauge("broker_connected", "1 while the broker answers.", {(): int(ingest.link.connected)})
        yield _gauge(
            "storage_fault", "1 while the database cannot be written.", {(): int(ingest.fault.error is not None)}
        )
        door = parts.door
        limited: dict[tuple[str, ...], int] = {(what,): door.allowance.refused[what] for what in door.allowance.per_min}
        limited["downloads",] = parts.downloads.refused
        yield _counter("failed_sign_ins", "Sign-ins with an unknown, revoked or expired token.", {(): door.failed})
        yield _counter("requests_limited", "Requests refused because there were too many.", limited, "what")
        yield _counter("events", "Events written to the log.", {(): parts.service.store.newest_event()})

    def _fleet(self) -> Iterator[Any]:
        counted = self._parts.counted
        yield _gauge("devices", "Devices by health.", {(word,): n for word, n in counted.healths.items()}, "health")
        yield _gauge("telemetry_gaps", "Samples that are missing, over all devices.", {(): counted.gaps})

    def _messages(self) -> Iterator[Any]:
        ingest, counts = self._parts.ingest, self._parts.service.store.counters()
        refused = {(why,): counts.get(why, 0) for why in REFUSALS}
        noted = {(why,): count for why, count in counts.items() if why not in REFUSALS}
        yield _counter("messages_received", "Messages since the controller began.", {(): ingest.hearing.received})
        yield _counter("messages_dropped", "Messages not taken.", {(): getattr(ingest.link, "dropped", 0)})
        yield _counter("messages_refused", "Messages outside the contract.", refused, "reason")
        yield _counter("messages_noted", "Messages that were odd, and taken.", noted, "reason")

    def _deployments(self) -> Iterator[Any]:
        service = self._parts.service
        phases = {(phase,): count for phase, count in service.deployments.count().items()}
        yield _gauge("deployments", "Deployments by phase.", phases, "phase")
        rollouts = {(phase,): count for phase, count in self._parts.rolling.rollouts.phases().items()}
        yield _gauge("rollouts", "Rollouts by phase.", rollouts, "phase")
        waiting = service.store.query("SELECT count(*) AS n FROM outbox")[0]["n"]
        yield _gauge("outbox_messages", "Commands and documents that wait to be sent or heard.", {(): waiting})

    def _predictor(self) -> Iterator[Any]:
        """Yield errors of predictions; simulated devices have figures of their own."""
        found = self._parts.service.bookkeeping.book.errors_by_type()
        told = {(row["device_type"], str(bool(row["simulated"])).lower()): row for row in found}
        labels = ("device_type", "simulated")
        for name, says in (
            ("mape_percent", "Mean absolute error of predictions, % of what was reported."),
            ("coverage_percent", "How often the reported energy lay in the 95 % interval, %."),
        ):
            known = {key: figures[name] for key, figures in told.items() if figures[name] is not None}
            yield _gauge(f"predictor_{name}", says, known, *labels)
        drifting = len(self._parts.service.bookkeeping.book.alarms())
        yield _gauge("drift_alarms", "Models that cost a device more than when deployed.", {(): drifting})

    def _alerts(self) -> Iterator[Any]:
        """Yield alerts that are open, and how their receiver does."""
        alerts, now = self._parts.alerts, self._parts.clock()
        firing = {(severity,): count for severity, count in alerts.records.open_by_severity().items()}
        counts, notices = alerts.counts(now), alerts.notices
        views = {(view,): counts[view] for view in ("open", "acknowledged", "silenced", "no_data", "pending")}
        yield _gauge(
            "alerts_firing", "Alerts that began and are not over, seen and silenced ones too.", firing, "severity"
        )
        yield _gauge("alerts", "Alerts as people look at them.", views, "view")
        look = alerts.evaluating
        yield _gauge("alerts_behind", "Devices with news that no rule was held against yet.", {(): look.behind})
        yield _gauge("alerts_look_seconds", "How long the last look at the rules took.", {(): look.took_s})
        if notices is not None:
            yield _gauge("alert_notices_waiting", "Notices that wait for their receiver.", {(): notices.waiting()})
            yield _counter("alert_notices_sent", "Notices that the receiver took.", {(): notices.sent})
            yield _counter("alert_notices_failed", "Tries that the receiver did not take.", {(): notices.failed})
            yield _counter("alert_notices_lost", "Notices given up.", {(): notices.lost})


def _gauge(name: str, says: str, values: Mapping[Any, float], *labels: str) -> Any:
    from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415 - loaded on use

    return _filled(GaugeMetricFamily(f"edgewatt_{name}", says, labels=labels), values)


def _counter(name: str, says: str, values: Mapping[Any, float], *labels: str) -> Any:
    from prometheus_client.core import CounterMetricFamily  # noqa: PLC0415 - loaded on use

    return _filled(CounterMetricFamily(f"edgewatt_{name}", says, labels=labels), values)


def _filled(family: Any, values: Mapping[Any, float]) -> Any:
    for key, value in values.items():
        family.add_metric(key, value)
    return family
