"""What every page has: the status line, a title, and words for an answer that did not come."""

import time

import streamlit as st
from markupsafe import Markup

from controller.client import Document
from dashboard import actions, api, signing_in, views, visitor, words
from dashboard.api import Reading
from dashboard.markup import EMPTY, join, link, note, tag

LIVE_S = 5.0
"""How often numbers are drawn again."""


def title(text: str, detail: Markup | str = "") -> None:
    """Draw a page's headline and the sentence under it."""
    st.html(tag("div", join([tag("h1", text), tag("p", detail) if detail else EMPTY]), of="ew-title"))


@st.fragment(run_every=LIVE_S)
def status_line() -> None:
    """Draw broker, controller, age of the last message, open deployments and what was refused; live."""
    reading = api.read("status")
    lost = reading.problem is not None and reading.problem.code == "not_signed_in"
    if (lost and visitor.known()) or signing_in.ended():
        st.rerun()
    st.html(line(reading, time.time(), visitor.known()))
    if reading.problem is not None:
        st.html(trouble(reading, time.time()))


def line(reading: Reading, now: float, who: Document) -> Markup:
    """Return the status line of what `GET /api/status` answered, for `who` of `GET /api/whoami`."""
    local = _signed_in(who)
    if reading.problem is not None or reading.document is None:
        lamp = tag("span", join(["controller ", tag("b", "does not answer")]), of="lamp bad")
        return tag("div", join([lamp, local]), of="ew-strip")
    broker, controller = reading.get("broker") or {}, reading.get("controller") or {}
    messages, deployments = reading.get("messages") or {}, reading.get("deployments") or {}
    rollouts = reading.get("rollouts") or {}
    held = now - (reading.at or now)
    age = messages.get("last_age_s")
    refused = views.refused_messages(messages)
    dropped = int(messages.get("dropped") or 0)
    reasons = ", ".join(f"{words.phase(why)} {number}" for why, number in (messages.get("refused") or {}).items())
    up = f"up {words.span(controller.get('uptime_s'))}, version {controller.get('version') or 'unknown'}"
    parts = [
        _lamp("broker", "connected" if broker.get("connected") else "not connected", broker.get("url") or ""),
        _lamp("controller", "answers", up),
        _said("last message", words.ago(None if age is None else age + held)),
        _said("open deployments", words.figure(deployments.get("open"), 9)),
        _said("open rollouts", words.figure(rollouts.get("open"), 9)) if rollouts.get("open") else EMPTY,
        _alerts(reading.get("alerts")),
        _said("refused messages", f"{refused:,}", reasons or "every message was understood"),
        _said("dropped", f"{dropped:,}", "what the controller was too busy to take") if dropped else EMPTY,
        local,
    ]
    return tag("div", join(parts), of="ew-strip")


def trouble(reading: Reading, now: float) -> Markup:
    """Return the banner for an answer that did not come, and how old what is shown is."""
    problem = reading.problem
    if problem is None:
        return EMPTY
    held = f" What you see was said {words.since(reading.at, now)}." if reading.at else ""
    sentence = f"{problem.message[:1].upper()}{problem.message[1:]}."
    return note("No fresh answer from the controller", sentence + held, tone="bad", hint=problem.hint)


def remember(name: str, facts: object) -> None:
    """Keep what a still part of the page was drawn from, for `redraw_if_changed`."""
    st.session_state[f"drawn-{name}"] = facts


def redraw_if_changed(name: str, facts: object) -> None:
    """From a live part: draw the whole page again once what its still part was drawn from has changed."""
    drawn = st.session_state.get(f"drawn-{name}", facts)
    if drawn != facts and not actions.waiting():
        remember(name, facts)
        st.rerun()


def answered(reading: Reading, what: str) -> bool:
    """Whether there is a document to draw; says why not otherwise."""
    if reading.document is not None:
        return True
    problem = reading.problem
    if problem is not None and problem.code == "unreachable":
        st.html(note(f"No {what} to show", "It will appear here as soon as the controller answers.", hint=problem.hint))
    elif problem is not None:
        st.html(note(f"No {what} to show", problem.message, tone="warn", hint=problem.hint))
    return False


def _signed_in(who: Document) -> Markup:
    if not who.get("signed_in"):
        said = "Anyone who reaches this page can deploy."
        return tag("span", "no sign-in: local use only", of="local", title=said)
    until = f"until {words.clock(who['expires_at'])}" if who.get("expires_at") else "until you sign out"
    return tag("span", join(["signed in as ", tag("b", who["name"]), f", {who['role']}"]), of="who", title=until)


def _lamp(name: str, state: str, title: str) -> Markup:
    off = " bad" if state.startswith("not ") else ""
    return tag("span", join([f"{name} ", tag("b", state)]), of=f"lamp{off}", title=title)


def _alerts(counts: dict[str, int] | None) -> Markup:
    """Return how many alerts need somebody, as a link to them; nothing while none does."""
    if not counts or not counts.get("open"):
        return EMPTY
    worst = f", {counts['critical']} critical" if counts.get("critical") else ""
    return tag("span", link(join(["open alerts ", tag("b", f"{counts['open']:,}{worst}")]), "alerts"))


def _said(name: str, value: str, title: str = "") -> Markup:
    return tag("span", join([f"{name} ", tag("b", value)]), title=title)
