"""Events: one stream of what happened, to filter and to take away; what is asked of it is in the address."""

import time
from typing import Any

import streamlit as st

from dashboard import api, diary, frame, words
from dashboard.markup import heading, link, note

PAGE_ROWS = 200
REFUSED = 20
DETAIL = {"milestones": "Milestones", "all": "Every step"}
SPANS = ("", "15min", "1h", "24h", "7d")
ALIKE: Any = {"label_visibility": "collapsed", "bind": "query-params"}


@st.fragment(run_every=frame.LIVE_S)
def stream(asked: dict[str, Any], cursor: str) -> None:
    """Draw a page of the entries, newest first; live."""
    reading = api.read("logs", limit=PAGE_ROWS, cursor=cursor, **asked)
    if not frame.answered(reading, "events"):
        return
    found = [diary.told(each) for each in reading.get("logs", [])]
    if not found:
        st.html(note("No event matches", "Deployments, refusals and losses appear here as they happen."))
        turn(reading.get("next_cursor") or "", cursor)
        return
    span = " to ".join(words.clock(at) for at in (reading.get("since"), reading.get("until")) if at is not None)
    st.html(heading("Newest first", " · ".join(filter(None, (words.count(len(found), "event"), span)))))
    st.html(diary.rows(found, time.time()))
    turn(reading.get("next_cursor") or "", cursor)


def turn(older: str, cursor: str) -> None:
    """Draw the links to older and to the newest entries; the rest of the address stays."""
    here = {name: st.query_params[name] for name in st.query_params if name != "before"}
    if older:
        st.html(link("older events →", "events", of="ew-go", before=older, **here))
    if cursor:
        st.html(link("← the newest", "events", of="ew-go", **here))


@st.fragment(run_every=frame.LIVE_S)
def refused() -> None:
    """Draw what the controller could not accept from the bus; live, and nothing when there is nothing."""
    reading = api.read("refused_messages")
    messages, counts = reading.get("messages") or [], reading.get("counts") or {}
    if not messages:
        return
    said = ", ".join(f"{words.phase(why)} {number:,}" for why, number in counts.items())
    st.html(heading("Refused messages", f"counted so far: {said}"))
    st.html(diary.refusals(messages[:REFUSED], time.time()))


def filters() -> dict[str, Any]:
    """Draw what can be asked for, all kept in the address; return it as the client takes it."""
    known = api.read_slowly("log_kinds")
    kinds = [each["type"] for each in known.get("kinds", [])]
    causes = [each["who"] for each in known.get("who", [])]
    first, second = st.columns([4, 2, 2, 2]), st.columns([2, 2, 4, 2], vertical_alignment="center")
    search = first[0].text_input("Search", key="words", placeholder="Words, a device, a model", **ALIKE)
    kind = first[1].selectbox("Kind", ["", *kinds], key="kind", format_func=lambda each: each or "Any kind", **ALIKE)
    device = first[2].text_input("Device", key="device", placeholder="Only this device id", **ALIKE)
    who = first[3].selectbox("Who", ["", *causes], key="who", format_func=lambda each: each or "Anybody", **ALIKE)
    span = second[0].selectbox("Last", SPANS, key="span", format_func=lambda each: each or "Any time", **ALIKE)
    at = second[1].text_input("Around", key="at", placeholder="Around 14:02 (UTC)", **ALIKE)
    detail = second[2].segmented_control(
        "Detail",
        list(DETAIL),
        default="milestones",
        required=True,
        key="detail",
        format_func=DETAIL.__getitem__,
        **ALIKE,
    )
    asked = {"q": search, "kind": kind, "device_id": device, "who": who, "since": span, "at": at}
    sought = {name: value or "" for name, value in asked.items()} | {"milestones": detail == "milestones"}
    second[3].download_button(
        "Take these as CSV",
        lambda: export(sought),
        file_name="edgewatt-events.csv",
        mime="text/csv",
        key="csv",
        on_click="ignore",
    )
    return sought


def export(asked: dict[str, Any]) -> bytes:
    """Return every event that was asked for as CSV, not only those of the page."""
    with api.client().export_logs("csv", **asked) as chunks:
        return b"".join(chunks)


frame.title("Events", "What happened, to what, when, who asked for it, and why.")
stream(filters(), st.query_params.get("before", ""))
refused()
