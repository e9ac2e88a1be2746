"""The part of the REST client that speaks of devices: what is known of them, what they are told, their calibration."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

Document = dict[str, Any]


class Devices(ABC):
    """Methods of `controller.client.Client`, which knows how to ask."""

    @abstractmethod
    def _get(self, path: str, **params: Any) -> Document: ...

    @abstractmethod
    def _send(self, method: str, path: str, body: Any = None) -> Document: ...

    def devices(self, *, limit: int = 100, offset: int = 0, **sought: str) -> Document:
        """Return one page of the fleet, `{total, devices}`.

        `sought` is any of q, health, tag (`key=value`), device_type, model, and sort (-energy_mj: greatest first).
        """
        return self._get("/api/devices", limit=limit, offset=offset, **sought)

    def device(self, device_id: str) -> Document:
        """Return everything known of one device under `device`."""
        return self._get(f"/api/devices/{_segment(device_id)}")

    def telemetry(self, device_id: str, *, minutes: int = 15, points: int = 300) -> Document:
        """Return at most `points` buckets of the last `minutes`, and the deployments within them."""
        return self._get(f"/api/devices/{_segment(device_id)}/telemetry", minutes=minutes, points=points)

    def courses(self, device_ids: Sequence[str], *, minutes: int = 15, points: int = 30) -> Document:
        """Return by device the highest p95 and the mean energy in each of `points` buckets, under `courses`."""
        return self._get("/api/telemetry/courses", device_id=list(device_ids), minutes=minutes, points=points)

    def saved_views(self) -> Document:
        """Return the saved views of the fleet's page, `{views: [{name, query}]}`."""
        return self._get("/api/views")

    def save_view(self, name: str, query: Mapping[str, str]) -> Document:
        """Keep a filter (q, health, tag, type, runs, order) under a name."""
        return self._send("PUT", f"/api/views/{_segment(name)}", {"query": dict(query)})

    def remove_view(self, name: str) -> Document:
        """Forget a saved view."""
        return self._send("DELETE", f"/api/views/{_segment(name)}")

    def forget(self, device_id: str) -> Document:
        """Remove a device and its retained documents; it comes back when it speaks again."""
        return self._send("DELETE", f"/api/devices/{_segment(device_id)}")

    def approve(self, device_id: str) -> Document:
        """Let a provisional device take deployments."""
        return self._send("POST", f"/api/devices/{_segment(device_id)}/approve")

    def command(self, device_id: str, op: str, **fields: Any) -> Document:
        """Send one command of the contract; returns its `command_id`."""
        return self._send("POST", f"/api/devices/{_segment(device_id)}/command", {"op": op, **fields})

    def command_state(self, command_id: str) -> Document:
        """Return how a command stands."""
        return self._get(f"/api/commands/{_segment(command_id)}")

    def calibrate(
        self, device_id: str, *, models: Sequence[str] = (), rows: Sequence[Mapping[str, Any]] = ()
    ) -> Document:
        """Begin to calibrate a device for `models`, or calibrate it by `rows` measured already."""
        return self._send("POST", f"/api/devices/{_segment(device_id)}/calibrate", {"models": models, "rows": rows})

    def calibration(self, device_id: str) -> Document:
        """Return how a device's calibration stands, its correction and its history."""
        return self._get(f"/api/devices/{_segment(device_id)}/calibration")

    def cancel_calibration(self, device_id: str) -> Document:
        """End the open calibration of a device."""
        return self._send("POST", f"/api/devices/{_segment(device_id)}/calibrate/cancel")

    def undo_calibration(self, device_id: str) -> Document:
        """Take a device's correction back."""
        return self._send("POST", f"/api/devices/{_segment(device_id)}/calibrate/undo")

    def metrics(self, device_id: str) -> Document:
        """Return the newest vital signs and energy of one device."""
        return self._get("/api/device/metrics", device_id=device_id)

    def start(self, device_id: str) -> Document:
        """Let the active model run again."""
        return self._send("POST", "/api/device/start", {"device_id": device_id})

    def stop(self, device_id: str) -> Document:
        """Pause the active model; it stays on the device."""
        return self._send("POST", "/api/device/stop", {"device_id": device_id})

    def rollback(self, device_id: str) -> Document:
        """Return to the model that ran before."""
        return self._send("POST", "/api/device/rollback", {"device_id": device_id})

    def benchmark(self, device_id: str, model: str = "") -> Document:
        """Measure a model, or the active one, on the device."""
        return self._send(
            "POST", "/api/device/benchmark", {"device_id": device_id} | ({"model_name": model} if model else {})
        )


def _segment(name: str) -> str:
    return quote(name, safe="")
