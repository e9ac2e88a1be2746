"""The part of the REST client that asks for advice: which model for which board, why, and for how long."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

Document = dict[str, Any]


class Advice(ABC):
    """Methods of `controller.client.Client`, which knows how to ask."""

    @abstractmethod
    def _get(self, path: str, **params: Any) -> Document: ...

    @abstractmethod
    def _send(self, method: str, path: str, body: Any = None) -> Document: ...

    def pareto(self, device_type: str, *, published: bool = False, listed: bool = False) -> Document:
        """Return accuracy, energy and latency of all models on `device_type`: `{models, apart}`."""
        more = {name: "true" for name, wanted in (("published", published), ("listed", listed)) if wanted}
        return self._get("/api/models/pareto", device_type=device_type, **more)

    def explain(self, model: str, device_type: str) -> Document:
        """Return why a model is predicted to cost what it is on `device_type`."""
        return self._get("/api/models/explain", model=model, device_type=device_type)

    def deploy_best(
        self,
        *,
        device_ids: Sequence[str],
        max_energy_mj: float,
        min_top1: float = 0.0,
        labels: int | None = None,
        policy: str | None = None,
        max_latency_ms: float | None = None,
        when: Mapping[str, Any] | None = None,
        soak_s: float | None = None,
        dry_run: bool = False,
    ) -> Document:
        """Deploy to each device the most accurate model that fits it, `{devices}`; `dry_run` only chooses.

        Raises `RefusedError` with `devices` among its facts when no device gets one.
        """
        body = {"device_ids": list(device_ids), "max_energy_mj": max_energy_mj, "min_top1": min_top1}
        terms = _given(max_latency_ms=max_latency_ms, when=when or None, soak_s=soak_s)
        more = _given(labels=labels, policy=policy, dry_run=dry_run or None) | terms
        return self._send("POST", "/api/deploy/best", body | more)

    def plan(self, *, energy_wh_per_day: float, **asked: Any) -> Document:
        """Return the models for devices with the highest mean accuracy within an energy per day.

        `asked`: min_top1, rate_hz, labels, policy, device_ids.
        """
        return self._send("POST", "/api/plan", {"energy_wh_per_day": energy_wh_per_day} | _given(**asked))

    def battery(self, device_id: str, model: str, *, rate_hz: float = 1.0, **asked: float | None) -> Document:
        """Return hours of battery and the share of a solar day; `asked`: battery_wh, solar_wh_per_day, idle_mw, …."""
        path = f"/api/devices/{quote(device_id, safe='')}/battery"
        return self._get(path, model=model, rate_hz=rate_hz, **asked)

    def energy_metadata(self) -> Document:
        """Return how each predictor was trained and how well it does, under `data`."""
        return self._get("/api/energy/metadata")


def _given(**params: Any) -> dict[str, Any]:
    return {key: value for key, value in params.items() if value not in ("", None)}
