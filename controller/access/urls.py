"""Addresses under which one device fetches one file, for a while: signed, where access is required."""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlencode

from broker.commands import ArtifactRef
from broker.errors import AccessError, InvalidError
from controller.access.secret_file import unusable, write_secret
from controller.patience import DEADLINE_S
from controller.records import Deployments
from controller.store import Store

VALID_S = 2 * DEADLINE_S
"""How long an address is good: a command is carried out within `DEADLINE_S`, and one made anew when less is left."""

KEY_BYTES = 32
ENDS = re.compile(r"\d{1,11}", re.ASCII)
HINT = "each command carries the address for its device; a person downloads with a token"


@dataclass(frozen=True, slots=True, kw_only=True)
class Urls:
    """Makes and checks addresses; they are plain while `required` says no.

    The signature covers file, device, when the device registered, and the end: a device that is forgotten and comes
    back is another one.
    """

    base_url: str
    key: bytes
    store: Store
    required: Callable[[], bool] = lambda: False

    def of(self, sha256: str, device_id: str, at: float) -> str:
        """Return where `device_id` fetches the file."""
        plain = f"{self.base_url}/models/sha256/{sha256}"
        device = self.store.device(device_id) if self.required() else None
        if device is None:
            return plain
        expires = int(at + VALID_S)
        signature = self._signature(sha256, device_id, device["registered_at"], expires)
        return f"{plain}?{urlencode({'device': device_id, 'expires': expires, 'signature': signature})}"

    def fresh(self, ref: ArtifactRef, device_id: str, at: float) -> ArtifactRef:
        """Return `ref` with an address that is good for long enough; the same when its own is, or is not ours."""
        ours = ref.url.startswith(f"{self.base_url}/models/sha256/{ref.sha256}")
        if not ours or not self.required() or _ends(ref.url) - at >= DEADLINE_S:
            return ref
        return replace(ref, url=self.of(ref.sha256, device_id, at))

    def check(self, sha256: str, query: Mapping[str, str], at: float) -> str:
        """Return the device whose address it is. Raises AccessError: of another file, device or key, or over.

        What has ended is good for as long as a deployment of this file to this device is under way: one that slept
        goes on with what its journal holds.
        """
        device_id, expires = query.get("device", ""), query.get("expires", "")
        device = self.store.device(device_id) if ENDS.fullmatch(expires) else None
        told = query.get("signature", "").encode()
        good = device is not None and hmac.compare_digest(
            told, self._signature(sha256, device_id, device["registered_at"], int(expires)).encode()
        )
        if not good:
            raise AccessError("the address of this file is not signed by this controller", code="bad_url", hint=HINT)
        if int(expires) <= at and not self._under_way(device_id, sha256):
            raise AccessError("the address of this file has expired", code="url_expired", hint=HINT)
        return device_id

    def _under_way(self, device_id: str, sha256: str) -> bool:
        still_open = Deployments(self.store).find(device_id=device_id, open_only=True)
        return any(each.artifact is not None and each.artifact.sha256 == sha256 for each in still_open)

    def _signature(self, sha256: str, device_id: str, registered_at: float, expires: int) -> str:
        said = f"{sha256}\n{device_id}\n{registered_at!r}\n{expires}".encode()
        made = hmac.new(self.key, said, hashlib.sha256).digest()
        return base64.urlsafe_b64encode(made).rstrip(b"=").decode()


def url_key(path: Path) -> bytes:
    """Return the key in `path`, made there when it is new, for nobody else to read. Raises InvalidError."""
    if not path.exists():
        write_secret(path, secrets.token_bytes(KEY_BYTES))
    try:
        key = path.read_bytes()
    except OSError as error:
        raise unusable(path, error) from None
    if len(key) != KEY_BYTES:
        raise InvalidError(f"{path} is damaged", code="bad_key", hint="remove it: a new one is made at the next start")
    return key


def _ends(url: str) -> float:
    """Return when an address ends, 0 for a plain one."""
    _, _, rest = url.partition("&expires=")
    digits = rest.partition("&")[0]
    return float(digits) if ENDS.fullmatch(digits) else 0.0
