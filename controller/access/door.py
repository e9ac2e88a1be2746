"""Decides who asks, and whether they may: by token, by a signed address, or because nobody else is near."""

import ipaddress
import logging
import re
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

from broker.errors import AccessError, InvalidError
from controller.access.allowance import Allowance, place
from controller.access.roles import Principal, Role, role_of
from controller.access.rules import PREDICTIONS, SOCKET, needed
from controller.access.tokens import Tokens
from controller.access.urls import Urls

logger = logging.getLogger(__name__)

LOCAL = Principal(name="", role=Role.ADMIN)
"""Whoever asks while access is not required: on this machine, before there is a token."""

FILES = "/models/sha256/"
USER = re.compile(r"[\x21-\x7e]{1,100}")
FOREIGN = frozenset({"cross-site", "same-site"})
"""What a browser says of a request that a page of somebody else's makes."""

ASKS = frozenset({"GET", "HEAD", "OPTIONS", SOCKET})
HINT = "set EDGEWATT_TOKEN or token_file to your token; `edgewatt tokens create` makes one, `edgewatt init` the first"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is seen of a request before anything is done for it."""

    method: str
    path: str
    query: str = ""
    address: str = ""
    secret: str | None = None
    headers: Headers = field(default_factory=Headers)

    @classmethod
    def of(cls, scope: Scope) -> "Asked":
        """Return what an HTTP request or a websocket asks for."""
        headers = Headers(scope=scope)
        kind, _, secret = headers.get("authorization", "").partition(" ")
        return cls(
            method=SOCKET if scope["type"] == "websocket" else scope["method"],
            path=scope["path"],
            query=scope["query_string"].decode("latin-1"),
            address=(scope.get("client") or ("",))[0],
            secret=secret.strip() if kind.lower() == "bearer" else None,
            headers=headers,
        )

    @property
    def writes(self) -> bool:
        """Whether it may change something."""
        return self.method not in ASKS


@dataclass(slots=True, kw_only=True)
class Door:
    """The one way in; `always` requires access before there is a token, too."""

    tokens: Tokens
    urls: Urls
    allowance: Allowance
    always: bool = False
    failed: int = 0

    @property
    def required(self) -> bool:
        """Whether somebody has to sign in: as soon as there is a token, and wherever others reach us."""
        return self.always or self.tokens.exist()

    def admit(self, asked: Asked, at: float) -> Principal | None:
        """Return who asks; None where nobody has to be known, or a websocket is to say it first.

        Raises AccessError: `not_signed_in`, `not_allowed`, `bad_url`, `url_expired`, `cross_site`,
        `foreign_host`, `too_many_requests`.
        """
        if (asked.writes or asked.method == SOCKET) and asked.headers.get("sec-fetch-site") in FOREIGN:
            raise AccessError(
                "a page of another site asked for this", code="cross_site", hint="use /docs, or a program"
            )
        if not self.required:
            _check_host(asked.headers.get("host", ""))
            return LOCAL
        role = needed(asked.method, asked.path)
        if role is None:
            if asked.writes:
                self.allowance.take("writes", place(asked.address), at)
            return None
        if asked.secret is None and asked.path.startswith(FILES) and "signature=" in asked.query:
            return self._device(asked, at)
        if asked.secret is None and asked.method == SOCKET:
            return None
        principal = self.known(asked.secret, asked.address, at)
        principal = _on_behalf(principal, asked.headers) if principal.act_as else principal
        check(principal, role)
        self._count(asked, principal, at)
        return principal

    def known(self, secret: str | None, address: str, at: float) -> Principal:
        """Return whose `secret` it is. Raises AccessError; one who guesses is slowed down, one who knows never."""
        principal = self.tokens.who(secret, at) if secret else None
        if principal is None:
            if secret:
                self.failed += 1
                self.tokens.tell_failure(place(address), at)
                self.allowance.take("failed_sign_ins", place(address), at)
                logger.warning("a sign-in failed: address=%s", address)
            said = "this token is unknown, revoked or expired" if secret else "nobody is signed in"
            raise AccessError(said, code="not_signed_in", hint=HINT)
        return principal

    def still(self, principal: Principal, at: float) -> None:
        """Raise AccessError (`not_signed_in`) when the token of `principal` was revoked or has expired."""
        if principal.token_id is not None and not self.tokens.is_good(principal.token_id, at):
            raise AccessError("this token was revoked, or has expired", code="not_signed_in", hint=HINT)

    def _device(self, asked: Asked, at: float) -> Principal:
        sha256 = asked.path.removeprefix(FILES)
        return Principal(name=self.urls.check(sha256, dict(parse_qsl(asked.query)), at), role=Role.VIEWER)

    def _count(self, asked: Asked, principal: Principal, at: float) -> None:
        whose = f"{principal.token_id}:{principal.name}"
        if asked.path in PREDICTIONS:
            self.allowance.take("predictions", whose, at)
        elif asked.writes:
            self.allowance.take("writes", whose, at)


def _check_host(host: str) -> None:
    """Raise AccessError (`foreign_host`) for a name that somebody else's page may have pointed at this machine."""
    name = urlsplit(f"//{host}").hostname or ""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        if "." in name.removesuffix(".localhost"):
            hint = "ask 127.0.0.1; or make a token, so that other names are no danger: edgewatt tokens create"
            said = f"nobody signs in here, so it is not answered as {name[:80]}"
            raise AccessError(said, code="foreign_host", hint=hint) from None


def check(principal: Principal, role: Role) -> None:
    """Raise AccessError (`not_allowed`) unless `principal` has `role` or more."""
    if not principal.role.covers(role):
        said = f"{principal.name} is {principal.role.value}; this needs {role.value}"
        raise AccessError(said, hint="ask an admin for a token with that role", needed=role.value)


def _on_behalf(service: Principal, headers: Headers) -> Principal:
    """Return the person for whom `service` asks, whose role is never more than its own. Raises InvalidError."""
    user, word = headers.get("x-edgewatt-user", ""), headers.get("x-edgewatt-role", "")
    if not user:
        return service
    if not USER.fullmatch(user):
        raise InvalidError("X-EdgeWatt-User is no name", hint="1 to 100 printable characters", field="X-EdgeWatt-User")
    role = role_of(word) if word else service.role
    return replace(service, name=user, via=service.name, role=role if service.role.covers(role) else service.role)
