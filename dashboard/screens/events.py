"""Events: one stream of what happened, to filter and to take away; what is asked of it is in the address."""

import time
from typing import Any

import streamlit as st

from dashboard import api, diary, frame, inputs, words
from dashboard.folding import folded
from dashboard.markup import heading, link, note

PAGE_ROWS = 200
REFUSED = 20
DETAIL = {"milestones": "Milestones", "all": "Every step"}
SPANS = ("15min", "1h", "24h", "7d")
OLDEST = "oldest first"
NARROWS = {"words": "words", "kind": "kind", "device": "device", "rollout": "rollout"}
NARROWS |= {"who": "who", "span": "the last", "at": "around", "first": "order"}
ORDERS = ("newest first", OLDEST)


@st.fragment(run_every=frame.LIVE_S)
def stream(asked: dict[str, Any], order: str, cursor: str) -> None:
    """Draw a page of the entries in their order; live."""
    oldest_first = order == OLDEST
    place = {"after": cursor or "0"} if oldest_first else {"cursor": cursor}
    reading = api.read("logs", limit=PAGE_ROWS, **place, **asked)
    if not frame.answered(reading, "events"):
        return
    rows = reading.get("logs", [])
    more = str(rows[-1]["id"]) if oldest_first and len(rows) == PAGE_ROWS else reading.get("next_cursor") or ""
    if not rows:
        st.html(note("No event matches", "Deployments, refusals and losses appear here as they happen."))
        turn(more, cursor, oldest_first=oldest_first)
        return
    span = " to ".join(words.clock(at) for at in (reading.get("since"), reading.get("until")) if at is not None)
    said = f"{order[:1].upper()}{order[1:]}"
    st.html(heading(said, " · ".join(filter(None, (words.count(len(rows), "event"), span)))))
    st.html(diary.rows([diary.told(each) for each in rows], time.time()))
    turn(more, cursor, oldest_first=oldest_first)


def turn(more: str, cursor: str, *, oldest_first: bool) -> None:
    """Draw the links to the page after and to the first one; the rest of the address stays."""
    here = {name: st.query_params[name] for name in st.query_params if name != "before"}
    onward, back = ("newer", "← the oldest") if oldest_first else ("older", "← the newest")
    if more:
        st.html(link(f"{onward} events →", "events", of="ew-go", before=more, **here))
    if cursor:
        st.html(link(back, "events", of="ew-go", **here))


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


def filters() -> tuple[dict[str, Any], str]:
    """Draw what can be asked for, all kept in the address; return it as the client takes it, and the order."""
    known = api.read_slowly("log_kinds")
    kinds = [each["type"] for each in known.get("kinds", [])]
    causes = [each["who"] for each in known.get("who", [])]
    with folded("events", st.query_params.to_dict() | {"before": ""}, NARROWS):
        first, second = st.columns([4, 2, 2, 2, 2]), st.columns([2, 2, 2])
        asked: dict[str, Any] = {
            "q": inputs.search(first[0], "words", "words, a device, a model"),
            "kind": inputs.choice(first[1], "kind", "Kind", kinds, words.phase),
            "device_id": inputs.exactly(first[2], "device", "Only this device id"),
            "rollout_id": inputs.exactly(first[3], "rollout", "Only this rollout id"),
            "who": inputs.choice(first[4], "who", "Who", causes),
            "since": inputs.choice(second[0], "span", "Time", SPANS, lambda span: f"the last {span}"),
            "at": inputs.exactly(second[1], "at", "Around 14:02 (UTC)"),
        }
        order = inputs.order(second[2], "first", {each: each for each in ORDERS})
    row = st.container(horizontal=True, vertical_alignment="center")
    detail = inputs.one_of("Detail", DETAIL, "milestones", key="detail", place=row, named=DETAIL.__getitem__)
    asked["milestones"] = detail == "milestones"
    inputs.take_events(row, **asked)
    return asked, order


frame.title("Events", "What happened, to what, when, who asked for it, and why.")
stream(*filters(), st.query_params.get("before", ""))
refused()
