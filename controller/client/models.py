"""The part of the REST client that speaks of models: the catalogue, files, and what is being made."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

Document = dict[str, Any]

READING_S = 180.0
"""How long the controller may take over a file: two others may be read before it."""


class ModelShelf(ABC):
    """Methods of `controller.client.Client`, which knows how to ask."""

    @abstractmethod
    def _get(self, path: str, **params: Any) -> Document: ...

    @abstractmethod
    def _send(self, method: str, path: str, body: Any = None) -> Document: ...

    @abstractmethod
    def _put(self, path: str, content: Iterable[bytes], size: int, timeout_s: float, **params: Any) -> Document: ...

    def models(
        self,
        *,
        limit: int = 100,
        offset: int = 0,
        q: str = "",
        family: str = "",
        stored: bool | None = None,
        popular: bool | None = None,
        max_params_m: float | None = None,
        sort: str = "",
        device_type: str = "",
    ) -> Document:
        """Return one page of the catalogue, `{total, models, families}`, with predictions for a `device_type`."""
        return self._get(
            "/api/models/all",
            limit=limit,
            offset=offset,
            q=q,
            family=family,
            stored=stored,
            popular=popular,
            max_params_m=max_params_m,
            sort=sort,
            device_type=device_type,
        )

    def model(self, name: str, *, device_type: str = "") -> Document:
        """Return one model, `{model}`; NotFoundError with the nearest names."""
        return self._get(f"/api/models/named/{quote(name, safe='')}", device_type=device_type)

    def popular(self) -> Document:
        """Return the well-known models, `{total, models}`, those in the store first."""
        return self._get("/api/models/popular")

    def recommended(self, device_type: str, *, limit: int = 10, stored: bool | None = None) -> Document:
        """Return the models that cost least on `device_type`, with predictions; `stored` None asks for both kinds."""
        return self._get("/api/models/recommended", device_type=device_type, limit=limit, stored=stored)

    def verify_models(self, model: str | None = None) -> Document:
        """Have the files of `model` read again, of all models when None: `{ok, artifacts}`."""
        return self._send("POST", "/api/models/verify", {"model_name": model})

    def archive_model(self, model: str, *, undo: bool = False) -> Document:
        """Put a model away, or bring it back; ConflictError with the places while it is in use."""
        return self._send("POST", "/api/models/archive", {"model_name": model, "undo": undo})

    def versions(self, model: str) -> Document:
        """Return the versions of a model, newest first, `{means, promoted_sha256, versions}`."""
        return self._get(f"/api/models/named/{quote(model, safe='')}/versions")

    def promote_model(
        self, model: str, *, version: str | None = None, undo: bool = False, dry_run: bool = False
    ) -> Document:
        """Let the bare name `model` mean a version, with `undo` its newest files again; `{changed, sentence, …}`.

        ConflictError for a version that may not be offered, and while a rollout of the model is under way.
        """
        asked = {"model_name": model, "version": version, "undo": undo, "dry_run": dry_run}
        return self._send("POST", "/api/models/promote", asked)

    def download(self, model: str, **wanted: Any) -> Document:
        """Begin to bring a network into the store; `{path, sha256, …}` when it is there, `{job}` to watch when not.

        `wanted` are the fields of the path's body: untrained, format, variant, again.
        """
        return self._send("POST", "/api/models/download", {"model_name": model, "wait": False} | wanted)

    def convert(self, model: str, **wanted: Any) -> Document:
        """Begin to make a model in another format or variant; answers as `download`."""
        return self._send("POST", "/api/models/convert", {"model_name": model, "wait": False} | wanted)

    def jobs(self, *, state: str = "", model: str = "", limit: int = 100) -> Document:
        """Return what the workshop makes and made, newest first, `{total, jobs}`."""
        return self._get("/api/jobs", state=state, model=model, limit=limit)

    def job(self, job_id: str) -> Document:
        """Return one job of the workshop under `job`."""
        return self._get(f"/api/jobs/{quote(job_id, safe='')}")

    def cancel_job(self, job_id: str) -> Document:
        """End a job that waits or runs."""
        return self._send("POST", f"/api/jobs/{quote(job_id, safe='')}/cancel")

    def upload(
        self,
        content: Iterable[bytes],
        size: int,
        *,
        filename: str,
        name: str = "",
        architecture: str = "",
        top1_pct: float | None = None,
        licence: str | None = None,
    ) -> Document:
        """Send a model file of `size` bytes; returns what it became, or the job that makes a model of weights."""
        said = {"architecture": architecture, "top1_pct": top1_pct, "licence": licence}
        return self._put("/api/models/upload", content, size, READING_S, filename=filename, name=name, **said)

    def analyze(self, content: Iterable[bytes], size: int, *, filename: str) -> Document:
        """Return the `facts` of a model file of `size` bytes; nothing is kept."""
        return self._put("/api/models/analyze", content, size, READING_S, filename=filename)
