"""The part of the REST client that fetches lists as CSV files."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, Literal

Listed = Literal["devices", "deployments", "rollouts", "models", "telemetry"]


class Exports(ABC):
    """Methods of `controller.client.Client`, which knows how to ask."""

    @abstractmethod
    def _chunks(self, path: str, **params: Any) -> AbstractContextManager[Iterator[bytes]]: ...

    def export(self, what: Listed, **sought: Any) -> AbstractContextManager[Iterator[bytes]]:
        """Give all rows that `sought` means as CSV, piece by piece; it is asked as the list of the same name is."""
        return self._chunks(f"/api/export/{what}", **sought)
