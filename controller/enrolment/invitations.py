"""Keeps one-time enrolment tokens: shown once, recognised by their hash, bound to a device, gone after a time.

`ewe.<id>.<secret>.<fingerprint>`: 256 random bits, and the SHA-256 of the authority's certificate, by which a device
knows the right controller before it has told it anything.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

from broker.errors import InvalidError
from controller.storage.store import Store

FORM = re.compile(r"ewe\.([0-9a-f]{8})\.([A-Za-z0-9_-]{43})\.([0-9a-f]{64})")
SECRET_BYTES = 32
SHORTEST_S, LONGEST_S = 60.0, 30 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """A token as it is handed over; `token` is shown once."""

    device_id: str
    token: str
    expires_at: float


class Invitations:
    """The enrolment tokens of one controller."""

    def __init__(self, store: Store) -> None:
        """Keep them in `store`."""
        self._store = store

    def make(self, device_id: str, fingerprint: str, at: float, *, holds_s: float, who: str) -> Invitation:
        """Return a new invitation, inside a transaction; those of earlier are void. Raises InvalidError."""
        if not SHORTEST_S <= holds_s <= LONGEST_S:
            raise InvalidError("an enrolment token holds from a minute to 30 days", field="expires_s")
        token_id, secret = secrets.token_hex(4), secrets.token_urlsafe(SECRET_BYTES)
        self.withdraw(device_id)
        self._store.connection.execute("DELETE FROM enrolment_tokens WHERE expires_at < ?", [at])
        self._store.connection.execute(
            "INSERT INTO enrolment_tokens (id, device_id, secret_sha256, created_at, created_by, expires_at) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            [token_id, device_id, _hashed(secret), at, who, at + holds_s],
        )
        token = f"ewe.{token_id}.{secret}.{fingerprint}"
        return Invitation(device_id=device_id, token=token, expires_at=at + holds_s)

    def accept(self, token: str, at: float) -> str:
        """Return whom `token` invites, and use it up; inside a transaction. Raises InvalidError (`bad_enrolment`)."""
        form = FORM.fullmatch(token.strip())
        rows = self._store.query("SELECT * FROM enrolment_tokens WHERE id = ?", [form[1]]) if form else []
        if not form or not rows or not hmac.compare_digest(rows[0]["secret_sha256"], _hashed(form[2])):
            raise _refused("is none of this controller, or was withdrawn")
        if rows[0]["used_at"] is not None:
            raise _refused("was used already: it works once")
        if rows[0]["expires_at"] <= at:
            raise _refused("has expired")
        self._store.connection.execute("UPDATE enrolment_tokens SET used_at = ? WHERE id = ?", [at, form[1]])
        return str(rows[0]["device_id"])

    def withdraw(self, device_id: str) -> int:
        """Void what invites `device_id`, inside a transaction; return how many were open."""
        sql = "DELETE FROM enrolment_tokens WHERE device_id = ? AND used_at IS NULL"
        return self._store.connection.execute(sql, [device_id]).rowcount


def _refused(why: str) -> InvalidError:
    hint = "ask for a new one: `edgewatt devices enroll ID --token`"
    return InvalidError(f"the enrolment token {why}", code="bad_enrolment", hint=hint)


def _hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
