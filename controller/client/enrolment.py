"""The part of the REST client that lets devices in and out."""

from abc import ABC, abstractmethod
from typing import Any
from urllib.parse import quote

Document = dict[str, Any]


class Enrolment(ABC):
    """Methods of `controller.client.Client`, which knows how to ask."""

    @abstractmethod
    def _send(self, method: str, path: str, body: Any = None) -> Document: ...

    def enroll(self, device_id: str, *, replace: bool = False) -> Document:
        """Let a device in; return its `files` by name, its password among them, and whether the `broker` was told."""
        return self._send("POST", f"/api/devices/{quote(device_id, safe='')}/enroll", {"replace": replace})

    def invite(self, device_id: str, *, expires_s: float, replace: bool = False) -> Document:
        """Return a `token` with which a device enrolls itself once at the address `controller`, and until when."""
        body = {"token": True, "expires_s": expires_s, "replace": replace}
        return self._send("POST", f"/api/devices/{quote(device_id, safe='')}/enroll", body)

    def revoke(self, device_id: str) -> Document:
        """Make a device's credentials void; return whether it had any, and whether the `broker` was told."""
        return self._send("POST", f"/api/devices/{quote(device_id, safe='')}/revoke")
