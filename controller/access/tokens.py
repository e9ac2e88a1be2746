"""Keeps API tokens: made once and shown once, recognised by their hash, revoked by their name."""

import contextlib
import hmac
import re
from dataclasses import dataclass

from broker.errors import ConflictError, InvalidError, NotFoundError, StorageError
from controller.access.roles import Principal, Role, role_of
from controller.access.secret import hashed, id_of, new_secret
from controller.logs import CAUSES
from controller.storage.store import Row, Store

NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
FAILURE_EVERY_S = 300.0
"""How often a failed sign-in is an event; `/metrics` counts each."""

ADOPTED = "adopted_token"
"""What the id is remembered as of the last secret that was made outside: revoked, it does not come back."""

USED_EVERY_S = 300.0
"""How exact `last_used_at` is, so that reading costs no write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What is known of a token: all but the secret. `act_as`: it may name the person that it asks for."""

    id: str
    name: str
    role: Role
    created_at: float
    created_by: str
    expires_at: float | None
    last_used_at: float | None
    act_as: bool


class Tokens:
    """The tokens of one controller."""

    def __init__(self, store: Store) -> None:
        """Keep them in `store`."""
        self._store = store
        self._failure_told_at = -FAILURE_EVERY_S

    def create(
        self,
        name: str,
        role: Role | str,
        at: float,
        *,
        expires_at: float | None = None,
        act_as: bool = False,
        who: str = "controller",
    ) -> str:
        """Return the secret of a new token, which is kept nowhere; `expires_at` None is for ever.

        Raises InvalidError (name, role or expiry), ConflictError when the name is taken.
        """
        known, secret = role_of(role), new_secret()
        self._check(name, expires_at, at)
        token_id = id_of(secret)
        with self._store.transaction():
            self._store.connection.execute(
                "INSERT INTO tokens (id, name, role, secret_sha256, created_at, created_by, expires_at, act_as) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [token_id, name, known.value, hashed(secret), at, who, expires_at, int(act_as)],
            )
            facts = {"token_id": token_id, "role": known.value, "expires_at": expires_at, "act_as": act_as}
            self._store.add_event(at, "access", f"token {name} was made: {known.value}", who=who, facts=facts)
        return secret

    def adopt(self, secret: str, name: str, at: float) -> None:
        """Let `secret`, made before there was a database, be the admin's token `name`; once: revoked, it stays so.

        Raises InvalidError for what is no secret.
        """
        token_id = id_of(secret)
        if token_id is None:
            hint = "remove the file, and let `edgewatt init` make another"
            raise InvalidError(f"the token of {name} is none", hint=hint, field="token")
        if self._store.remembered(ADOPTED) == token_id:
            return
        with self._store.transaction():
            self._store.connection.execute("DELETE FROM tokens WHERE name = ?", [name])
            self._store.connection.execute(
                "INSERT INTO tokens (id, name, role, secret_sha256, created_at, created_by, act_as) "
                "VALUES (?, ?, ?, ?, ?, ?, 0)",
                [token_id, name, Role.ADMIN.value, hashed(secret), at, "init"],
            )
            self._store.remember(ADOPTED, token_id)
            facts = {"token_id": token_id, "role": Role.ADMIN.value}
            self._store.add_event(at, "access", f"token {name} of `edgewatt init` is taken up: admin", facts=facts)

    def list(self) -> list[Token]:
        """Return every token, by name."""
        return [_token(row) for row in self._store.query("SELECT * FROM tokens ORDER BY name")]

    def get(self, name: str) -> Token:
        """Return the token called `name`. Raises NotFoundError."""
        found = self._store.query("SELECT * FROM tokens WHERE name = ?", [name])
        if not found:
            raise NotFoundError(f"no token '{name[:80]}'", code="unknown_token", hint="`edgewatt tokens list`")
        return _token(found[0])

    def revoke(self, name: str, at: float, *, who: str = "controller") -> None:
        """Take a token away; whoever has its secret is a stranger from now on. Raises NotFoundError."""
        token = self.get(name)
        with self._store.transaction():
            self._store.connection.execute("DELETE FROM tokens WHERE id = ?", [token.id])
            facts = {"token_id": token.id, "role": token.role.value}
            self._store.add_event(at, "access", f"token {name} was revoked", who=who, facts=facts)

    def exist(self) -> bool:
        """Return whether there is any token."""
        return bool(self._store.query("SELECT 1 FROM tokens LIMIT 1"))

    def who(self, secret: str, at: float) -> Principal | None:
        """Return whose `secret` it is, None when it is nobody's, revoked or expired."""
        rows = self._store.query("SELECT * FROM tokens WHERE id = ?", [id_of(secret)])
        if not rows or not hmac.compare_digest(rows[0]["secret_sha256"], hashed(secret)):
            return None
        token = _token(rows[0])
        if token.expires_at is not None and token.expires_at <= at:
            return None
        self._note_use(token, at)
        return Principal(
            name=token.name, role=token.role, token_id=token.id, expires_at=token.expires_at, act_as=token.act_as
        )

    def tell_failure(self, place: str, at: float) -> None:
        """Make it an event that a sign-in from `place` failed, once in a while; on a full disk it is none."""
        if 0 <= at - self._failure_told_at < FAILURE_EVERY_S:
            return
        self._failure_told_at = at
        text = f"a sign-in from {place or 'nowhere'} failed: its token is unknown, revoked or expired"
        with contextlib.suppress(StorageError), self._store.transaction():
            self._store.add_event(at, "access", text, who="rest", facts={"place": place})

    def is_good(self, token_id: str, at: float) -> bool:
        """Return whether a token is there that has not expired."""
        sql = "SELECT 1 FROM tokens WHERE id = ? AND (expires_at IS NULL OR expires_at > ?)"
        return bool(self._store.query(sql, [token_id, at]))

    def _note_use(self, token: Token, at: float) -> None:
        """Note that `token` is used; on a full disk it is not noted, and works."""
        if token.last_used_at is not None and at - token.last_used_at < USED_EVERY_S:
            return
        with contextlib.suppress(StorageError), self._store.transaction():
            self._store.connection.execute("UPDATE tokens SET last_used_at = ? WHERE id = ?", [at, token.id])

    def _check(self, name: str, expires_at: float | None, at: float) -> None:
        if not NAME.fullmatch(name):
            hint = "small letters, digits and . _ @ - (64 at most): ada, ci, ada@example.org"
            raise InvalidError(f"'{name[:80]}' is no name for a token", hint=hint, field="name")
        if name in CAUSES or self._store.has_device(name):
            hint = "it stands in the events for something else; take another"
            raise InvalidError(f"a token cannot be called '{name}'", hint=hint, field="name")
        if expires_at is not None and expires_at <= at:
            raise InvalidError("the token would have expired already", hint="such as 90d", field="expires")
        if self._store.query("SELECT 1 FROM tokens WHERE name = ?", [name]):
            hint = f"take another name, or `edgewatt tokens revoke {name}` first"
            raise ConflictError(f"there is a token '{name}' already", code="token_exists", hint=hint)


def _token(row: Row) -> Token:
    known = {name: row[name] for name in Token.__dataclass_fields__}
    return Token(**known | {"role": Role(row["role"]), "act_as": bool(row["act_as"])})
