"""The part of the REST client that fetches lists as CSV files."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any


class Exports(ABC):
    """Methods of `controller.client.Client`, which knows how to ask."""

    @abstractmethod
    def _chunks(self, path: str, **params: Any) -> AbstractContextManager[Iterator[bytes]]: ...

    def export(self, what: str, **sought: Any) -> AbstractContextManager[Iterator[bytes]]:
        """Give all rows of devices, deployments, rollouts, models, ledger or telemetry that `sought` means as CSV."""
        return self._chunks(f"/api/export/{what}", **sought)
