"""What can be done to a device, drawn as buttons; each asks before it acts."""

from typing import Any

import streamlit as st

from dashboard import actions, api, frame, visitor
from dashboard.actions import Action

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


def facts_of(device: dict[str, Any]) -> tuple[object, ...]:
    """Return what decides which deeds make sense; a change of it redraws the buttons."""
    return device.get("id"), device.get("phase"), bool(device.get("previous")), device.get("approved")


def draw(device_id: str) -> None:
    """Draw what can be done to the device; outside every live part."""
    device = api.read("device", device_id=device_id).get("device") or {}
    frame.remember("device", facts_of(device))
    if not visitor.may():
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        waits = not device.get("approved", True) and visitor.may("admin")
        if waits and st.button("Approve", key="approve", type="primary", help=DEEDS["approve"]):
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
        if visitor.may("admin") and st.button("Forget", key="forget", help=DEEDS["forget"]):
            actions.ask(_action(device_id, "forget"))


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
