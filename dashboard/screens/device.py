"""Device: what is it doing, and what happened."""

import time
from typing import Any

import streamlit as st

from dashboard import actions, api, charts, frame, history, portrait, tables, views, words
from dashboard.actions import Action
from dashboard.markup import heading, link, note

CHART_S = 15.0
LOG_LINES = 200


@st.fragment(run_every=frame.LIVE_S)
def now(device_id: str) -> None:
    """Draw who the device is, its figures and its model's answers; live."""
    reading = api.read("device", device_id=device_id)
    if not frame.answered(reading, "device"):
        return
    device, at = reading.get("device"), time.time()
    frame.redraw_if_changed("device", facts_of(device))
    past = api.series((device_id,), 15, 30)[device_id]
    st.html(portrait.header(device))
    st.html(portrait.now_cards(device, past))
    left, right = st.columns(2)
    left.html(heading("Model"))
    left.html(portrait.model_now(device))
    right.html(heading("Latest answers", "label, confidence, truth"))
    right.html(portrait.answers(device, history.answers(device.get("messages") or {}), at))


@st.fragment(run_every=CHART_S)
def past(device_id: str, minutes: int) -> None:
    """Draw the range as charts; live."""
    reading = api.read_slowly("telemetry", device_id=device_id, minutes=minutes, points=history.POINTS)
    rows = reading.get("series", [])
    if not rows:
        st.html(note("No samples in this range", "Choose a longer one, or wait for the device to speak."))
        return
    device = api.read("device", device_id=device_id).get("device") or {}
    table = history.frame(rows, reading.get("bucket_s") or 5.0)
    marks = history.marks(reading.get("deployments", []))
    ran, budget = views.predicted(device), (device.get("budget") or {}).get("energy_mj")
    drawn = (
        ("Energy per inference", _limits(ran, budget), charts.energy(table, marks, ran, budget)),
        ("Latency", "shaded: lowest to highest", charts.latency(table, marks)),
        ("Temperature", "°C", charts.heat(table, marks)),
        ("CPU and memory", "% in use", charts.usage(table, marks)),
    )
    for pair in (drawn[:2], drawn[2:]):
        for column, (title, aside, chart) in zip(st.columns(2), pair, strict=True):
            column.html(heading(title, aside))
            column.altair_chart(chart, width="stretch")


@st.fragment(run_every=frame.LIVE_S)
def deployments(device_id: str) -> None:
    """Draw what was deployed here, newest first; live."""
    reading = api.read("deployments", device_id=device_id, limit=20)
    rows = reading.get("deployments", [])
    if rows:
        st.html(heading("Newest first", words.ended(reading.get("summary"))))
        st.html(tables.deployments(rows, time.time()))
    else:
        st.html(note("Nothing was deployed here yet", "Choose a model under Deploy."))


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
def logs(device_id: str) -> None:
    """Draw the newest lines of the device's own log, and where what happened to it is; live."""
    rows = api.read("logs", limit=LOG_LINES, device_id=device_id, kind="log").get("logs", [])
    st.html(link("what happened to it", "events", of="ew-go", device=device_id, detail="Every step"))
    if rows:
        st.html(heading("Newest first", f"the newest {LOG_LINES} of the thousand lines that are kept"))
        st.html(portrait.logs(rows, time.time()))
    else:
        st.html(note("No log lines yet", "A device sends few of them, and counts what its rate limit held back."))


def facts_of(device: dict[str, Any]) -> tuple[object, ...]:
    """Return what decides which deeds make sense; a change of it redraws the buttons."""
    return device.get("id"), device.get("phase"), bool(device.get("previous")), device.get("approved")


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


def deeds(device_id: str) -> None:
    """Draw what can be done to the device; outside every live part."""
    device = api.read("device", device_id=device_id).get("device") or {}
    frame.remember("device", facts_of(device))
    with st.container(horizontal=True, vertical_alignment="center"):
        if not device.get("approved", True) and st.button(
            "Approve", key="approve", type="primary", help=DEEDS["approve"]
        ):
            actions.ask(_action(device_id, "approve"))
        st.page_link("screens/deploy.py", label="Deploy here", query_params={"to": device_id}, icon=":material/upload:")
        if st.button("Ping", key="ping", help="Ask whether the agent answers"):
            actions.tell(_action(device_id, "ping"))
        running = device.get("phase") == "running"
        for name in ("start", "stop", "rollback", "benchmark", "calibrate"):
            idle = (name == "start" and running) or (name == "stop" and device.get("phase") == "stopped")
            idle = idle or (name == "rollback" and not device.get("previous"))
            label = "Roll back" if name == "rollback" else name.capitalize()
            if st.button(label, key=name, disabled=idle, help=DEEDS[name]):
                actions.ask(_action(device_id, name))
        if st.button("Forget", key="forget", help=DEEDS["forget"]):
            actions.ask(_action(device_id, "forget"))


def _limits(predicted: dict[str, float] | None, budget_mj: float | None) -> str:
    low, high = (predicted or {}).get("low_mj"), (predicted or {}).get("high_mj")
    band = "" if low is None else f"band: predicted {words.interval(low, high)}"
    line = "" if budget_mj is None else f"line: budget {words.amount(budget_mj, 'mJ')}"
    return " · ".join(each for each in (band, line) if each)


DEEDS = {
    "approve": "It may take deployments from now on.",
    "ping": "The agent answers on its ack topic.",
    "start": "The active model runs again, continuously.",
    "stop": "The active model pauses; it stays on the device.",
    "rollback": "The device returns to the model that ran before.",
    "benchmark": "The device measures its active model; answers are slower meanwhile.",
    "calibrate": "When no deployment is at work it measures up to ten models, one after another, about a minute each; "
    "its predictions rest on them from then on.",
    "forget": "Its retained documents, what it measured and its calibration are removed; the log and its deployments "
    "stay. It comes back when it speaks again.",
}


def _action(device_id: str, name: str) -> Action:
    label = "Roll back" if name == "rollback" else name.capitalize()
    method, arguments = ("command", {"op": "ping"}) if name == "ping" else (name, {})
    return Action(
        title=f"{label} {device_id}",
        deed=f"{label} {device_id}",
        consequence=DEEDS[name],
        method=method,
        targets=(device_id,),
        arguments=arguments,
        typed=device_id if name == "forget" else "",
    )


chosen = choose()
if not chosen:
    frame.title("Choose a device", "What it does now, what it cost, what it said.")
else:
    actions.report()
    now(chosen)
    if api.read("device", device_id=chosen).document is not None:
        deeds(chosen)
        span = st.segmented_control(
            "Range",
            list(history.RANGES),
            default="15min",
            required=True,
            key="range",
            bind="query-params",
            label_visibility="collapsed",
        )
        past(chosen, history.RANGES[span])
        lives, heard, told, facts = st.tabs(["Deployments", "Messages", "Log", "About"])
        with lives:
            deployments(chosen)
        with heard:
            messages(chosen)
        with told:
            logs(chosen)
        with facts:
            st.html(portrait.about(api.read("device", device_id=chosen).get("device") or {}))
