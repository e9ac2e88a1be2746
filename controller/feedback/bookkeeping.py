"""Enters into the ledger what devices report, and looks once a minute whether one costs more than it did."""

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from broker.energy import Source
from controller.deployment import Deployment
from controller.feedback.book import Book
from controller.feedback.ledger import Entry, Watch, watched
from controller.storage.store import Row, Store

LOOK_EVERY_S = 60.0
"""One reading of a watch is the mean of so much telemetry: single samples of 5 s lean on each other."""

AT_ONCE = 50
"""Devices looked at in one go, so that a large fleet does not hold up its messages."""

SOURCES: frozenset[str] = frozenset(Source.__args__)  # type: ignore[attr-defined]  # a Literal's words


@dataclass(slots=True, kw_only=True)
class Bookkeeping:
    """The ledger's edge; call it inside a transaction."""

    store: Store
    book: Book
    _looked_at: float = 0.0
    _left: deque[str] = field(default_factory=deque)
    _taught: set[str] = field(default_factory=set)

    def on_deployment(self, deployment: Deployment, at: float) -> Entry | None:
        """Enter what a deployment that has ended cost beside what was predicted for it."""
        device = self.store.device(deployment.device_id)
        entry = entry_of(device, deployment.model, deployment.result or {}, deployment.predicted or {}, at)
        if entry is None:
            return None
        sha256 = deployment.artifact.sha256 if deployment.artifact else None
        return self._enter(replace(entry, deployment_id=deployment.id, artifact_sha256=sha256))

    def on_bench(
        self, device: Row, result: Mapping[str, Any], predicted: Mapping[str, Any], sha256: str | None, at: float
    ) -> Entry | None:
        """Enter what a benchmark cost beside what was `predicted` (a prediction's fields) for that model."""
        entry = entry_of(device, str(result.get("model")), result, predicted, at)
        return self._enter(replace(entry, artifact_sha256=sha256)) if entry else None

    def look(self, at: float) -> None:
        """Look at the devices that are due; a minute's worth of telemetry each."""
        if not self._left and at - self._looked_at >= LOOK_EVERY_S:
            self._looked_at = at
            self._left.extend(row["id"] for row in self.store.query("SELECT id FROM devices WHERE online = 1"))
        for _ in range(min(AT_ONCE, len(self._left))):
            device = self.store.device(self._left.popleft())
            if device is not None:
                self._look_at(device, at)

    def taken(self) -> list[str]:
        """Return the devices of which something can be learned since this was last asked."""
        devices = sorted(self._taught)
        self._taught.clear()
        return devices

    def _enter(self, entry: Entry) -> Entry:
        self.book.add(entry)
        if entry.teaches:
            self._taught.add(entry.device_id)
        return entry

    def _look_at(self, device: Row, at: float) -> None:
        model = ((device["state"] or {}).get("active") or {}).get("model")
        self.book.forget_watches(device["id"], but=model or "")
        baseline = self.book.baseline(device["id"], model) if model else None
        if baseline is None or baseline.deployment_id is None:
            return
        before = self.book.watch(device["id"], baseline.model, baseline.source)
        if before is None or before.deployment_id != baseline.deployment_id:
            if before is not None and before.alarm:
                self._tell(replace(before, alarm=False), "proven anew", at)
            before = _begin(baseline, baseline.deployment_id)
            self.book.put_watch(before)
        mean_mj = self.book.mean_energy_mj(before, at) if at - before.read_at >= LOOK_EVERY_S else None
        if mean_mj is None:
            return
        after = watched(before, mean_mj, at)
        self.book.put_watch(after)
        if after.alarm != before.alarm:
            self._tell(after, f"{mean_mj:.3g} mJ in the last minute", at)

    def _tell(self, watch: Watch, why: str, at: float) -> None:
        facts = {"model": watch.model, "source": watch.source, "baseline_mj": watch.baseline_mj, "alarm": watch.alarm}
        facts |= {"by_percent": round(watch.by_percent, 1), "since": watch.since}
        text = drift_sentence(watch) if watch.alarm else f"{watch.model} costs {watch.device_id} no more than it did"
        self.store.add_event(at, "drift", f"{text} ({why})", device_id=watch.device_id, facts=facts)


def entry_of(
    device: Row | None, model: str, result: Mapping[str, Any], predicted: Mapping[str, Any], at: float
) -> Entry | None:
    """Return the entry of a device's `result`, or None where it tells no energy with a source that we know."""
    energy_mj, source = result.get("energy_mj"), result.get("energy_source")
    if device is None or isinstance(energy_mj, bool) or not isinstance(energy_mj, (int, float)):
        return None
    if source not in SOURCES or not math.isfinite(energy_mj) or energy_mj <= 0:
        return None
    info = device["info"] or {}
    return Entry(
        device_id=device["id"],
        device_type=info.get("device_type") or "unknown",
        simulated=bool(info.get("simulated")),
        model=model,
        actual_mj=float(energy_mj),
        source=source,
        at=at,
        predicted_mj=predicted.get("energy_mj"),
        low_mj=predicted.get("low_mj"),
        high_mj=predicted.get("high_mj"),
        predictor=predicted.get("predictor") or "",
    )


def drift_sentence(watch: Watch) -> str:
    """Return what an alarm says."""
    return (
        f"{watch.model} costs {watch.device_id} {watch.by_percent:.0f} % more than when it was deployed"
        f" ({watch.baseline_mj:.3g} mJ, source: {watch.source})"
    )


def _begin(baseline: Entry, deployment_id: str) -> Watch:
    return Watch(
        device_id=baseline.device_id,
        model=baseline.model,
        source=baseline.source,
        baseline_mj=baseline.actual_mj,
        deployment_id=deployment_id,
        read_at=baseline.at,
    )
