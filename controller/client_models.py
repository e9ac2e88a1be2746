"""The part of the REST client that speaks of models: the catalogue, files, and what is being made."""

from abc import ABC, abstractmethod
from typing import Any

Document = dict[str, Any]


class ModelShelf(ABC):
    """Methods of `controller.client.Client`, which knows how to ask."""

    @abstractmethod
    def _get(self, path: str, **params: Any) -> Document: ...

    @abstractmethod
    def _send(self, method: str, path: str, body: Any = None) -> Document: ...

    def models(self, *, limit: int = 100, offset: int = 0, q: str = "") -> Document:
        """Return one page of the catalogue, `{total, models}`."""
        return self._get("/api/models/all", limit=limit, offset=offset, q=q)

    def recommended(self, device_type: str, *, limit: int = 10) -> Document:
        """Return the models that cost least energy on `device_type`, with predictions."""
        return self._get("/api/models/recommended", device_type=device_type, limit=limit)
