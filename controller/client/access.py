"""The part of the REST client that speaks of who may ask: oneself, and tokens."""

from abc import ABC, abstractmethod
from typing import Any
from urllib.parse import quote

Document = dict[str, Any]


class Access(ABC):
    """Methods of `controller.client.Client`, which knows how to ask."""

    @abstractmethod
    def _get(self, path: str, **params: Any) -> Document: ...

    @abstractmethod
    def _send(self, method: str, path: str, body: Any = None) -> Document: ...

    def whoami(self) -> Document:
        """Return who asks: `{signed_in, name, role, expires_at, via, access_required}`."""
        return self._get("/api/whoami")

    def tokens(self) -> Document:
        """Return every token under `tokens`, without secrets."""
        return self._get("/api/tokens")

    def create_token(self, name: str, role: str, *, expires: str = "", act_as: bool = False) -> Document:
        """Make a token; its `secret` is in this answer and in no other."""
        body = {"name": name, "role": role, "expires": expires, "act_as": act_as}
        return self._send("POST", "/api/tokens", body)

    def revoke_token(self, name: str) -> Document:
        """Take a token away."""
        return self._send("DELETE", f"/api/tokens/{quote(name, safe='')}")
