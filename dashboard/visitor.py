"""Who looks at the dashboard in this session: with whose token it asks the controller, and what they may do."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from controller.client import Document

NAME = re.compile(r"[\x21-\x7e]{1,100}")
ROLES = ("viewer", "operator", "admin")
_VISITOR, _KNOWN = "visitor", "whoami"


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """What the controller is told of who asks: a token, and with a token of the dashboard's own for whom."""

    token: str | None = field(default=None, repr=False)
    user: str = ""
    role: str = ""

    @property
    def key(self) -> str:
        """What tells the answers to one visitor from those to another; no secret."""
        said = "\n".join((self.token or "", self.user, self.role))
        return hashlib.sha256(said.encode()).hexdigest() if self.token else ""

    @property
    def headers(self) -> dict[str, str]:
        """For whom the dashboard asks."""
        told = {"X-EdgeWatt-User": self.user, "X-EdgeWatt-Role": self.role}
        return {name: value for name, value in told.items() if value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Whom an identity provider signed in; `refused` says why that is not enough, in a sentence."""

    name: str = ""
    role: str = ""
    refused: str = ""


def person(claims: Mapping[str, Any], roles: Mapping[str, str], default: str, now: float) -> Person:
    """Return who is meant by a provider's `claims`: by `roles` a role, or `default`, "" for nobody that is not named.

    Streamlit does not look at when a sign-in ends, so it is done here.
    """
    if float(claims.get("exp") or now + 1) <= now:
        return Person(refused="your sign-in has ended")
    email = str(claims.get("email") or "") if claims.get("email_verified", True) is not False else ""
    name = next((each for each in (email.lower(), str(claims.get("sub") or "")) if NAME.fullmatch(each)), "")
    if not name:
        return Person(refused="your provider says neither an e-mail address nor who you are")
    role = str(roles.get(name) or default)
    if role not in ROLES:
        return Person(name=name, refused=f"{name} has no role here")
    return Person(name=name, role=role)


def current() -> Visitor:
    """Return who looks in this session, nobody with a name at first."""
    visitor: Visitor = st.session_state.get(_VISITOR) or Visitor()
    return visitor


def enter(visitor: Visitor) -> None:
    """Let this session be that of `visitor`, of whom the controller has said nothing yet."""
    if visitor != current():
        st.session_state.pop(_KNOWN, None)
    st.session_state[_VISITOR] = visitor


def know(document: Document) -> None:
    """Keep what the controller says of who asks."""
    st.session_state[_KNOWN] = document


def known() -> Document:
    """Return what the controller said of who asks, nothing before it did."""
    found: Document = st.session_state.get(_KNOWN) or {}
    return found


def may(role: str = "operator") -> bool:
    """Return whether who looks may do what `role` may; the controller decides, this only spares a button that fails."""
    mine = known().get("role")
    return mine not in ROLES or ROLES.index(mine) >= ROLES.index(role)
