"""Addresses under which one device fetches one file, for a while: signed, where access is required."""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

from broker.commands import ArtifactRef
from broker.errors import AccessError, InvalidError
from controller.access.secret_file import unusable, write_secret
from controller.patience import DEADLINE_S
from controller.records import Deployments
from controller.storage.store import Store

VALID_S = 2 * DEADLINE_S
"""How long an address is good: a command is carried out within `DEADLINE_S`, and one made anew when less is left."""

KEY_BYTES = 32
ENDS = re.compile(r"\d{1,11}", re.ASCII)
HINT = "each command carries the address for its device; a person downloads with a token"


@dataclass(frozen=True, slots=True, kw_only=True)
class Urls:
    """Makes and checks addresses; they are plain while `required` says no.

    The signature covers file, device, when the device registered and was last revoked, and the end: a device that is
    forgotten and comes back is another one.
    """

    base_url: str
    key: bytes
    store: Store
    required: Callable[[], bool] = lambda: False

    def of(self, sha256: str, device_id: str, at: float) -> str:
        """Return where `device_id` fetches the file."""
        plain = f"{self.base_url}/models/sha256/{sha256}"
        expires = str(int(at + VALID_S))
        signature = self._signature(sha256, device_id, expires) if self.required() else None
        if signature is None:
            return plain
        return f"{plain}?{urlencode({'device': device_id, 'expires': expires, 'signature': signature})}"

    def fresh(self, ref: ArtifactRef, device_id: str, at: float) -> ArtifactRef:
        """Return `ref` with an address that is good for long enough; the same when its own is, or is not ours."""
        ours = ref.url.startswith(f"{self.base_url}/models/sha256/{ref.sha256}")
        if not ours or not self.required():
            return ref
        query = dict(parse_qsl(urlsplit(ref.url).query))
        if self._is_ours(ref.sha256, device_id, query) and int(query["expires"]) - at >= DEADLINE_S:
            return ref
        return replace(ref, url=self.of(ref.sha256, device_id, at))

    def check(self, sha256: str, query: Mapping[str, str], at: float) -> str:
        """Return the device whose address it is. Raises AccessError: of another file, device or key, or over.

        What has ended is good for as long as a deployment of this file to this device is under way: one that slept
        goes on with what its journal holds.
        """
        device_id = query.get("device", "")
        if not self._is_ours(sha256, device_id, query):
            raise AccessError("the address of this file is not signed by this controller", code="bad_url", hint=HINT)
        if int(query["expires"]) <= at and not self._under_way(device_id, sha256):
            raise AccessError("the address of this file has expired", code="url_expired", hint=HINT)
        return device_id

    def _is_ours(self, sha256: str, device_id: str, query: Mapping[str, str]) -> bool:
        """Return whether the signature in `query` is that of this file, this device as it is now, and this end."""
        expires = query.get("expires", "")
        made = self._signature(sha256, device_id, expires) if ENDS.fullmatch(expires) else None
        return made is not None and hmac.compare_digest(query.get("signature", "").encode(), made.encode())

    def _under_way(self, device_id: str, sha256: str) -> bool:
        still_open = Deployments(self.store).find(device_id=device_id, open_only=True)
        return any(each.artifact is not None and each.artifact.sha256 == sha256 for each in still_open)

    def _signature(self, sha256: str, device_id: str, expires: str) -> str | None:
        """Return the signature, None for a device that is not here."""
        device = self.store.device(device_id)
        if device is None:
            return None
        life = f"{device['registered_at']!r} {self.store.remembered(_voided(device_id))!r}"
        made = hmac.new(self.key, f"{sha256}\n{device_id}\n{life}\n{expires}".encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(made).rstrip(b"=").decode()


def void(store: Store, device_id: str, at: float) -> None:
    """Let no address that `device_id` has be good any more; call it inside a transaction."""
    store.remember(_voided(device_id), at)


def _voided(device_id: str) -> str:
    return f"addresses void: {device_id}"


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
