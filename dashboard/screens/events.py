"""Events: one stream of what happened, to filter and to take away."""

import time
from typing import Any

import streamlit as st

from dashboard import api, diary, frame
from dashboard.markup import heading, note

MOST = 500


def entries(kind: str, sought: str) -> list[dict[str, Any]]:
    """Return the newest entries that match."""
    given = api.read("logs", limit=MOST, kind=kind).get("logs", [])
    return diary.matching([diary.told(each) for each in given], sought)


@st.fragment(run_every=frame.LIVE_S)
def stream(kind: str, sought: str) -> None:
    """Draw the entries, newest first; live."""
    reading = api.read("logs", limit=MOST, kind=kind)
    if not frame.answered(reading, "events"):
        return
    found = entries(kind, sought)
    if not found:
        st.html(note("No event matches", "Deployments, refusals and losses appear here as they happen."))
        return
    st.html(heading("Newest first", f"the last {len(found)} that match, of at most {MOST}"))
    st.html(diary.rows(found, time.time()))


frame.title("Events", "What happened, to what, when, and who asked for it.")
left, middle, right = st.columns([4, 2, 2], vertical_alignment="bottom")
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
right.download_button(
    "Take these as CSV",
    diary.as_csv(entries(chosen or "", search or "")),
    file_name="edgewatt-events.csv",
    mime="text/csv",
    key="csv",
    on_click="ignore",
)
stream(chosen or "", search or "")
