"""Who asks, and the tokens that let them."""

from dataclasses import asdict, dataclass
from typing import Any

from fastapi import APIRouter

from broker.errors import ConflictError
from controller.access.door import LOCAL
from controller.access.roles import Role
from controller.access.tokens import Token
from controller.api.described import RESPONSES
from controller.api.parts import Asking, Given, Origin, Parts
from controller.times import seconds

router = APIRouter(tags=["access"], responses=RESPONSES)


@dataclass(frozen=True, kw_only=True)
class TokenBody:
    """A token to make; `expires` is how long it is good (90d), for ever when it is left out.

    `act_as` lets it name the person that it asks for, as a dashboard's does.
    """

    name: str
    role: str
    expires: str = ""
    act_as: bool = False


@router.get("/api/whoami")
async def whoami(parts: Given, asking: Asking) -> dict[str, Any]:
    """Say who asks, with which role, and until when."""
    known = asking or LOCAL
    facts = {"name": known.name, "role": known.role.value, "expires_at": known.expires_at, "via": known.via}
    return {"success": True, "signed_in": known.token_id is not None} | facts | {"access_required": parts.door.required}


@router.get("/api/tokens")
async def list_tokens(parts: Given) -> dict[str, Any]:
    """List tokens by name; nobody can see a secret again."""
    return {"success": True, "tokens": [asdict(each) for each in parts.door.tokens.list()]}


@router.post("/api/tokens", status_code=201)
async def create_token(parts: Given, origin: Origin, body: TokenBody) -> dict[str, Any]:
    """Make a token and return its secret, this once."""
    now, tokens = parts.clock(), parts.door.tokens
    expires_at = now + seconds(body.expires, "expires") if body.expires else None
    _check_first(parts, body.role)
    secret = tokens.create(body.name, body.role, now, expires_at=expires_at, act_as=body.act_as, who=origin)
    return {"success": True, "token": asdict(tokens.get(body.name)), "secret": secret}


@router.delete("/api/tokens/{name}")
async def revoke_token(parts: Given, origin: Origin, name: str) -> dict[str, Any]:
    """Take a token away; the last admin's stays, or nobody could make another."""
    tokens = parts.door.tokens
    token, admins = tokens.get(name), [each for each in tokens.list() if _lasts(each)]
    if admins == [token]:
        hint = (
            "make another admin first, or revoke it on the controller's machine: edgewatt tokens revoke --data FOLDER"
        )
        raise ConflictError(f"{name} is the last admin", code="last_admin", hint=hint)
    tokens.revoke(name, parts.clock(), who=origin)
    return {"success": True, "name": name}


def _check_first(parts: Parts, role: str) -> None:
    """Raise ConflictError for a first token that could make no other: everybody would be locked out."""
    if not parts.door.tokens.exist() and role != Role.ADMIN:
        hint = "from the first token on everybody has to sign in: make an admin's first"
        raise ConflictError("the first token has to be an admin's", code="no_admin", hint=hint)


def _lasts(token: Token) -> bool:
    return token.role is Role.ADMIN and token.expires_at is None
