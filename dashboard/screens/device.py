"""Device: what is it doing, and what happened."""

import time
from collections.abc import Callable
from typing import Any

import streamlit as st

from dashboard import (
    actions,
    api,
    deeds,
    frame,
    history,
    inputs,
    need_lines,
    needs,
    past,
    portrait,
    tables,
    views,
    words,
)
from dashboard.attention import case
from dashboard.markup import heading, link, note

CHART_S = 15.0
LOG_LINES = 1_000
LEDGER_ROWS = 50


@st.fragment(run_every=frame.LIVE_S)
def now(device_id: str) -> None:
    """Draw who the device is, its figures and its model's answers; live."""
    reading = api.read("device", device_id=device_id)
    if reading.document is None:
        frame.title(device_id)
    if not frame.answered(reading, "device"):
        return
    device, at = reading.get("device"), time.time()
    frame.redraw_if_changed("device", deeds.facts_of(device))
    recent = api.read_slowly("telemetry", device_id=device_id, minutes=15, points=30).get("series", [])
    st.html(portrait.header(device))
    st.html(heading("Now", f"of its reading {words.since(device.get('last_reading_at'), at)}"))
    st.html(portrait.now_cards(device, recent))
    left, right = st.columns(2)
    left.html(heading("Model"))
    left.html(portrait.model_now(device))
    right.html(heading("Latest answers", "label, confidence, truth"))
    right.html(portrait.answers(device, history.answers(device.get("messages") or {}), at))


@st.fragment(run_every=frame.LIVE_S)
def attention(device_id: str) -> None:
    """Draw why the device needs a person, as the fleet's list has it; live, and nothing while it does not."""
    reading, at = api.read("device", device_id=device_id), time.time()
    if reading.document is None:
        return
    told = api.read("alerts", device_id=device_id, view="all")
    alerts = [each for each in views.aged(told.get("alerts", []), told.held_s) if each["open"]]
    (device,) = views.aged([reading.get("device")], reading.held_s)
    newest = next(iter(device.get("deployments") or ()), None)
    found = case(needs.of_device(device, newest, alerts, at), device_id=device_id)
    if found.needs or found.seen:
        st.html(heading("Needs attention", "first what explains the rest"))
        st.html(need_lines.whole(found, at))


@st.fragment(run_every=CHART_S)
def charts(device_id: str, minutes: int) -> None:
    """Draw the range as charts; live."""
    reading = api.read_slowly("telemetry", device_id=device_id, minutes=minutes, points=history.POINTS)
    if not frame.answered(reading, "history"):
        return
    device = api.read("device", device_id=device_id).get("device") or {}
    drawn = past.charts(reading, views.predicted(device), (device.get("budget") or {}).get("energy_mj"))
    if not drawn:
        st.html(note("No samples in this range", "Choose a longer one, or wait for the device to speak."))
        return
    for pair in (drawn[index : index + 2] for index in range(0, len(drawn), 2)):
        for column, (title, aside, chart) in zip(st.columns(2), pair, strict=False):
            column.html(heading(title, aside))
            column.vega_lite_chart(chart.data, chart.spec, width="stretch")
    st.html(past.legend(reading))


def ranged(device_id: str) -> None:
    """Draw the choice of the range, its charts, and the way to take its samples away."""
    row = st.container(horizontal=True, vertical_alignment="center")
    minutes = history.RANGES[inputs.one_of("Range", history.RANGES, "15min", key="range", place=row)]
    inputs.take_csv(row, "telemetry", device_id=device_id, minutes=minutes)
    charts(device_id, minutes)


@st.fragment(run_every=frame.LIVE_S)
def deployments(device_id: str) -> None:
    """Draw what was deployed here, newest first; live."""
    reading = api.read("deployments", device_id=device_id, limit=20)
    rows = reading.get("deployments", [])
    if rows:
        st.html(heading("Newest first", words.ended(reading.get("summary"))))
        st.html(tables.deployments(rows, time.time()))
        st.html(link("all of them, to search, sort and take away", "deployments", of="ew-go", device=device_id))
    else:
        st.html(note("Nothing was deployed here yet", "Choose a model under Deploy."))


def predictions(device_id: str) -> None:
    """Draw what was predicted for this device beside what it then cost."""
    entries = api.read_slowly("ledger", device_id=device_id, limit=LEDGER_ROWS).get("entries", [])
    if entries:
        st.html(heading("Predicted, and what it then cost", "newest first"))
        st.html(portrait.told_and_came(entries, time.time()))
    else:
        hint = f"edgewatt devices measure {device_id} MODEL"
        st.html(note("Nothing to compare yet", "Deploy a model here, or measure one:", hint=hint))


@st.fragment(run_every=frame.LIVE_S)
def messages(device_id: str) -> None:
    """Draw the last ten messages of each topic, decoded and raw; live."""
    device = api.read("device", device_id=device_id).get("device") or {}
    found = history.newest_first(device.get("messages") or {})
    for suffix, rows in found.items():
        st.html(heading(f"device/{device_id}/{suffix}", f"last {len(rows)}"))
        st.html(portrait.messages(rows, time.time()))
    if not found:
        st.html(note("No message yet", "They appear here as the broker delivers them."))


@st.fragment(run_every=frame.LIVE_S)
def told(device_id: str, sought: str) -> None:
    """Draw the newest lines of the device's own log; live."""
    rows = api.read("logs", limit=LOG_LINES, device_id=device_id, kind="log", q=sought).get("logs", [])
    if rows:
        kept = f"{words.count(len(rows), 'line')}, the newest first" + (
            f"; the {LOG_LINES:,} newest only" if len(rows) == LOG_LINES else ""
        )
        st.html(heading("Log", kept))
        st.html(portrait.logs(rows, time.time()))
    elif sought:
        st.html(note("No line has these words", "Search for fewer of them."))
    else:
        st.html(note("No log lines yet", "A device sends few of them, and counts what its rate limit held back."))


def log(device_id: str) -> None:
    """Draw what can be asked of the log, and its lines."""
    row = st.container(horizontal=True, vertical_alignment="center")
    sought = inputs.search(row, "line", "its log")
    asked: dict[str, Any] = {"device_id": device_id, "kind": "log", "q": sought}
    inputs.take_events(row, "log", **asked)
    row.html(link("what happened to it", "events", of="ew-go", device=device_id, detail="Every step"))
    told(device_id, sought)


def about(device_id: str) -> None:
    """Draw what the device told of itself."""
    st.html(portrait.about(api.read("device", device_id=device_id).get("device") or {}))


def choose() -> str:
    """Draw the picker; any id may be typed. The choice lives in the address."""
    ids = [each["id"] for each in api.fleet().get("devices", [])]
    asked = st.query_params.get("id")
    if asked and asked not in ids:
        ids = [asked, *ids]
    picked = st.selectbox(
        "Device",
        ids,
        index=None if ids else 0,
        key="id",
        bind="query-params",
        placeholder="Choose a device or type its id",
        accept_new_options=True,
        label_visibility="collapsed",
    )
    return picked or ""


PARTS: dict[str, Callable[[str], None]] = {
    "Charts": ranged,
    "Deployments": deployments,
    "Predictions": predictions,
    "Messages": messages,
    "Log": log,
    "About": about,
}


def main(device_id: str) -> None:
    """Draw the device, what can be done to it, and the chosen part of what happened."""
    actions.report()
    now(device_id)
    if api.read("device", device_id=device_id).document is None:
        return
    deeds.draw(device_id)
    attention(device_id)
    PARTS[inputs.one_of("Part", PARTS, "Charts", key="part")](device_id)


chosen = choose()
if chosen:
    main(chosen)
else:
    frame.title("Choose a device", "What it does now, what it cost, what it said.")
