"""What a person or a program may do: three roles, each of which may do what the one before it may; pure."""

from dataclasses import dataclass
from enum import StrEnum

from broker.errors import InvalidError


class Role(StrEnum):
    """How much somebody may do."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def covers(self, needed: "Role") -> bool:
        """Return whether this role may do what `needed` may."""
        return _ORDER.index(self) >= _ORDER.index(needed)


_ORDER = tuple(Role)

SAYS = {
    Role.VIEWER: "reads everything but tokens, and asks what would be",
    Role.OPERATOR: "also deploys, commands devices, leads rollouts, takes models in and measures",
    Role.ADMIN: "also makes and revokes tokens, approves and forgets devices, clears the log",
}


def role_of(word: str) -> Role:
    """Return the role called `word`. Raises InvalidError."""
    try:
        return Role(word)
    except ValueError:
        hint = f"one of {', '.join(Role)}"
        raise InvalidError(f"'{word[:40]}' is no role", hint=hint, field="role") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Somebody who asks: by which name, with which role.

    `token_id` is absent for whoever needs none. `act_as` lets a dashboard name the person that it asks for; `via` is
    the token that it does so with.
    """

    name: str
    role: Role
    token_id: str | None = None
    expires_at: float | None = None
    act_as: bool = False
    via: str | None = None
