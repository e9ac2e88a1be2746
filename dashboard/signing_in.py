"""The way in and out: an identity provider where one is configured, a personal token otherwise, nothing locally."""

import re
import time
from collections.abc import Mapping
from typing import Any

import streamlit as st

from broker.errors import InvalidError
from dashboard import api, browsers, visitor
from dashboard.api import Problem
from dashboard.credentials import service_token
from dashboard.markup import note
from dashboard.visitor import Visitor, person

FORM = re.compile(r"ew_[\x21-\x7e]{1,100}")
HINT = "An admin makes a token: edgewatt tokens create NAME --role operator"


def admitted() -> bool:
    """Return whether the controller lets somebody in; draw the way in where it does not."""
    return _by_provider() if _settings("auth") else _by_token()


def way_out() -> None:
    """Draw the button that signs out."""
    if visitor.known().get("signed_in") and st.button("Sign out", key="sign-out", type="tertiary"):
        if _settings("auth"):
            st.logout()
        browsers.sign_out()
        visitor.enter(Visitor())
        st.rerun()


def ended() -> bool:
    """Return whether the provider's sign-in of this session is over."""
    return bool(_settings("auth")) and bool(_person().refused)


def _by_token() -> bool:
    visitor.enter(Visitor(token=browsers.token()))
    problem = _ask()
    if problem is None or problem.code not in ("not_signed_in", "too_many_requests", "invalid"):
        browsers.keep()
        return True
    told = problem if visitor.current().token else None
    if told and told.code == "not_signed_in":
        browsers.sign_out()
    browsers.keep()
    _form(told)
    return False


def _form(told: Problem | None) -> None:
    st.title("Sign in")
    if told is not None:
        st.html(note("That did not work", f"{told.message}.", tone="bad", hint=HINT))
    with st.form("sign-in", clear_on_submit=True, width=480):
        secret = st.text_input("Your token", type="password", key="token", help=HINT, placeholder="ew_…")
        sent = st.form_submit_button("Sign in", type="primary", key="enter")
    if sent and FORM.fullmatch(secret.strip()):
        browsers.sign_in(secret.strip())
        st.rerun()
    elif sent:
        st.html(
            note("That did not work", "This is no token: one begins with ew_ and is one line.", tone="bad", hint=HINT)
        )


def _by_provider() -> bool:
    known = _person() if st.user.is_logged_in else None
    if known is None or known.refused:
        st.title("Sign in")
        if known is not None:
            hint = "An admin adds you to [edgewatt.roles] in the dashboard's secrets.toml."
            st.html(note("You are not in yet", f"{known.refused}.", tone="warn", hint=hint if known.name else ""))
        if st.button("Sign in with your organisation", key="login", type="primary"):
            st.login(_settings("edgewatt").get("provider"))
        if known is not None and st.button("Sign out", key="logout"):
            st.logout()
        return False
    try:
        token = service_token()
    except InvalidError as error:
        st.html(note("The dashboard cannot ask the controller", f"{error.message}.", tone="bad", hint=error.hint))
        return False
    visitor.enter(Visitor(token=token, user=known.name, role=known.role))
    problem = _ask()
    if problem is not None and problem.code == "not_signed_in":
        hint = "EDGEWATT_TOKEN_FILE names it; edgewatt tokens create dashboard-1 --role operator --act-as --out FILE"
        st.html(
            note("The controller does not know the dashboard's token", f"{problem.message}.", tone="bad", hint=hint)
        )
        return False
    if problem is None and visitor.known()["name"] != known.name:  # it would act as itself, with all that it may
        hint = "Its token needs the right: edgewatt tokens create dashboard-1 --role operator --act-as --out FILE"
        told = "The dashboard's token may not ask for others."
        st.html(note("The dashboard cannot ask the controller", told, tone="bad", hint=hint))
        return False
    return True


def _ask() -> Problem | None:
    """Ask the controller who we are, and keep it; return what kept it from saying so."""
    reading = api.read("whoami")
    if reading.problem is None and reading.document is not None:
        visitor.know(reading.document)
    return reading.problem


def _person() -> visitor.Person:
    told = _settings("edgewatt")
    return person(st.user.to_dict(), told.get("roles") or {}, str(told.get("default_role") or ""), time.time())


def _settings(section: str) -> Mapping[str, Any]:
    """Return a section of secrets.toml, empty where there is no such file."""
    if not st.secrets.load_if_toml_exists():
        return {}
    found: Mapping[str, Any] = st.secrets.get(section) or {}
    return found
