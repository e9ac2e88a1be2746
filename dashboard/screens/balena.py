"""Balena: what it knows of its boards beside what is known here; pins and lines."""

import time
from typing import Any

import streamlit as st

from broker.errors import EdgeWattError
from dashboard import actions, api, boards, frame, paging, visitor, words
from dashboard.api import Reading
from dashboard.markup import heading, note, written

PAGE_ROWS = 50
LINES = 200
RELEASES = 20
LOOKED_AT = 1_000
ALIKE: Any = {"label_visibility": "collapsed", "bind": "query-params"}


def answered(reading: Reading, what: str) -> bool:
    """Whether there is something to draw, fresh or not; says in balena's and the controller's words why not."""
    problem = reading.problem
    if problem is None:
        return True
    if reading.document is None and not problem.code.startswith("balena_"):
        return frame.answered(reading, what)
    title = "No fresh answer" if reading.document is not None else f"No {what} to show"
    held = f" What you see was said {words.since(reading.at, time.time())}." if reading.at else ""
    sentence = f"{problem.message[:1].upper()}{problem.message[1:]}."
    st.html(note(title, sentence + held, tone="warn", hint=problem.hint))
    return reading.document is not None


def filters(configured: str) -> str:
    """Draw which fleet and which of its boards are shown, both kept in the address; return where those are known."""
    first, second, third = st.columns([3, 3, 1], vertical_alignment="center")
    placeholder = f"{configured}, or another: organization/fleet" if configured else "organization/fleet"
    first.text_input("Fleet", key="fleet", placeholder=placeholder, **ALIKE)
    where = second.selectbox(
        "Known",
        ["", *boards.WHERE],
        key="where",
        format_func=lambda each: boards.WHERE.get(each, "Known anywhere"),
        **ALIKE,
    )
    told = "Ask balena anew; what is shown is some seconds old at most."
    third.button("Look again", key="again", help=told, on_click=api.forget_answers)
    return where or ""


def known(rows: list[dict[str, Any]], total: int, where: str) -> None:
    """Draw one page of the boards."""
    wanted = [each for each in rows if where in ("", each["where"])]
    page = paging.page_of(len(wanted), PAGE_ROWS, "page")
    first = (page - 1) * PAGE_ROWS
    shown = wanted[first : first + PAGE_ROWS]
    if not shown:
        says = "Loosen the choice above." if where else "Provision one on balena's dashboard; it appears here then."
        st.html(note("No board here", says))
        return
    told = f"{first + 1:,}–{first + len(shown):,} of {words.count(len(wanted), 'board')}"
    st.html(heading("Boards", told if total <= LOOKED_AT else f"{told}, among the first {LOOKED_AT:,}"))
    st.html(boards.boards(shown, time.time()))


def shipped(releases: list[dict[str, Any]], fleet: dict[str, Any]) -> None:
    """Draw the fleet's releases."""
    follows = "takes each new release by itself" if fleet.get("tracks_latest") else "stays on what is pinned"
    st.html(heading("Releases", f"the newest {len(releases)}; the fleet {follows}"))
    if releases:
        st.html(boards.releases(releases, fleet, time.time()))
    else:
        st.html(note("No release yet", written("`balena push` makes the first one.")))


def pins(slug: str, releases: list[dict[str, Any]], names: dict[str, str]) -> None:
    """Draw the choice of a release and what it is for; the plan is asked for before the question."""
    good = [each for each in releases if each["status"] == "success" and not each["invalidated"]]
    if not good or not visitor.may():
        return
    st.html(heading("Pin a release", "only successful ones can be pinned"))
    first, second, third = st.columns([3, 4, 2], vertical_alignment="bottom")
    release = first.selectbox("Release", good, format_func=boards.label, key="release")
    whom = second.selectbox(
        "On",
        ["", *names],
        format_func=lambda each: names.get(each, f"the whole fleet {slug}"),
        key="whom",
        index=None,
        placeholder="Choose a board, or the fleet",
    )
    if visitor.may() and third.button("Pin…", key="pin", type="primary", disabled=whom is None or release is None):
        plan(slug, str(whom or ""), release["id"])


def plan(slug: str, uuid: str, release_id: int) -> None:
    """Ask what the pin would change, and have it confirmed."""
    client = api.client()
    try:
        if uuid:
            found = client.balena_pin_device(uuid, release_id=release_id, dry_run=True)
        else:
            found = client.balena_pin_fleet(slug, release_id=release_id, dry_run=True)
    except EdgeWattError as error:
        st.html(note("This cannot be pinned", f"{error.message}.", tone="bad", hint=error.hint))
        return
    if found["changed"]:
        actions.ask(boards.question(found))
    else:
        st.html(note("Nothing to do", f"{found['message']}."))


def lines(names: dict[str, str]) -> None:
    """Draw the newest lines of the board that was chosen; it is kept in the address."""
    st.html(heading("Log of a board", f"the newest {LINES}; balena keeps 1,000"))
    uuid = st.selectbox(
        "Board",
        ["", *names],
        key="log",
        format_func=lambda each: names.get(each, "Choose a board"),
        **ALIKE,
    )
    if not uuid:
        return
    reading = api.read_slowly("balena_logs", uuid=uuid, limit=LINES)
    if not answered(reading, "lines"):
        return
    if reading.get("lines"):
        st.html(boards.lines(reading.get("lines"), time.time()))
    else:
        st.html(note("No lines", "The board has sent none, or balena has let them go."))


def main() -> None:
    """Draw the page of the fleet that is asked for."""
    said = api.read("status")
    status = said.get("balena") or {}
    if not status.get("configured"):
        frame.title("Balena", "Boards that run balenaOS, beside what is known of them here.")
        if not frame.answered(said, "boards"):
            return
        hint = "Start the controller with EDGEWATT_BALENA_TOKEN and EDGEWATT_BALENA_FLEET; see docs/how-to/balena.md."
        st.html(note("Balena is not configured", "The controller has no token to ask with.", hint=hint))
        return
    asked, configured = str(st.query_params.get("fleet") or ""), status.get("fleet") or ""
    slug = asked.strip() or configured
    reading = api.read_slowly("balena_devices", app_slug=slug, limit=LOOKED_AT) if slug else Reading()
    counts = reading.get("counts")
    frame.title(slug or "Balena", boards.told(counts) if counts else "Boards that run balenaOS.")
    actions.report()
    where = filters(configured)
    if not slug:
        st.html(note("Which fleet?", "Write its slug above: organization/fleet, as in its address at balena."))
        return
    if not answered(reading, "boards"):
        return
    rows = reading.get("devices", [])
    known(rows, reading.get("total", 0), where)
    shelf = api.read_slowly("balena_releases", app_slug=slug, limit=RELEASES)
    names = {each["uuid"]: str(each["name"]) for each in rows if each["balena"]}
    if answered(shelf, "releases"):
        shipped(shelf.get("releases", []), shelf.get("fleet", {}))
        pins(slug, shelf.get("releases", []), names)
    if names:
        lines(names)


main()
