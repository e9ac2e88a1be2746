"""Events: one stream of what happened, to filter and to take away."""

import time
from typing import Any

import streamlit as st

from dashboard import api, diary, frame, words
from dashboard.markup import heading, note

MOST = 1_000  # asked of the controller
DRAWN = 200
REFUSED = 20
DETAIL = {"milestones": "Milestones", "all": "Every step"}


def entries(kind: str, sought: str, detail: str) -> list[dict[str, Any]]:
    """Return the newest entries that match."""
    told = [diary.told(each) for each in api.read("logs", limit=MOST, kind=kind).get("logs", [])]
    return diary.matching(diary.milestones(told) if detail == "milestones" else told, sought)


@st.fragment(run_every=frame.LIVE_S)
def stream(kind: str, sought: str, detail: str) -> None:
    """Draw the entries, newest first; live."""
    reading = api.read("logs", limit=MOST, kind=kind)
    if not frame.answered(reading, "events"):
        return
    found = entries(kind, sought, detail)
    if not found:
        st.html(note("No event matches", "Deployments, refusals and losses appear here as they happen."))
        return
    shown = found[:DRAWN]
    st.html(heading("Newest first", f"{len(shown):,} of {len(found):,} that match among the last {MOST:,}"))
    st.html(diary.rows(shown, time.time()))


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


frame.title("Events", "What happened, to what, when, and who asked for it.")
left, middle, right, last = st.columns([4, 2, 2, 2], vertical_alignment="center")
search = left.text_input(
    "Search", key="words", bind="query-params", placeholder="Words, a device, a model", label_visibility="collapsed"
)
kinds = sorted({diary.told(each)["type"] for each in api.read("logs", limit=MOST, kind="").get("logs", [])} - {""})
chosen = middle.selectbox(
    "Kind",
    ["", *kinds],
    key="kind",
    bind="query-params",
    format_func=lambda each: each.replace("_", " ") or "Any kind",
    label_visibility="collapsed",
)
detail = right.segmented_control(
    "Detail",
    list(DETAIL),
    default="milestones",
    required=True,
    key="detail",
    bind="query-params",
    format_func=DETAIL.__getitem__,
    label_visibility="collapsed",
)
last.download_button(
    "Take these as CSV",
    diary.as_csv(entries(chosen or "", search or "", detail)),
    file_name="edgewatt-events.csv",
    mime="text/csv",
    key="csv",
    on_click="ignore",
)
stream(chosen or "", search or "", detail)
refused()
