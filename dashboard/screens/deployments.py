"""Deployments: which ones move, how each went, and one of them live to its end."""

import time
from typing import Any

import streamlit as st

from dashboard import actions, api, frame, inputs, life, paging, tables, visitor, words
from dashboard.actions import Action
from dashboard.folding import folded
from dashboard.markup import heading, link, note

LIVE_S = 2.0
PAGE_ROWS = 50
NARROWS = {"sought": "words", "device": "device", "phase": "phase", "sorted": "order"}
ORDERS = {
    "newest first": "newest",
    "oldest first": "oldest",
    "by device": "device",
    "by model": "model",
    "by phase": "phase",
}


@st.fragment(run_every=LIVE_S)
def one(deployment_id: str) -> None:
    """Draw a deployment, its phases and what came of it; live."""
    reading = api.read("deployment", deployment_id=deployment_id)
    if not frame.answered(reading, "deployment"):
        return
    deployment, now = reading.get("deployment"), time.time()
    frame.redraw_if_changed("deployment", (deployment_id, deployment.get("terminal")))
    st.html(life.headline(deployment, now))
    left, right = st.columns([3, 2])
    left.html(heading("Its life", "oldest first"))
    left.html(life.timeline(deployment, now))
    right.html(heading("What it costs", "mJ per inference"))
    right.html(life.outcome(deployment))


@st.fragment(run_every=LIVE_S)
def several(asked: dict[str, Any], page: int) -> None:
    """Draw one page of deployments; live."""
    reading = api.read("deployments", limit=PAGE_ROWS, offset=(page - 1) * PAGE_ROWS, **asked)
    if not frame.answered(reading, "deployments"):
        return
    rows, total = reading.get("deployments", []), int(reading.get("total", 0))
    if not rows:
        sought = any(asked[name] for name in ("device_id", "phase", "q"))
        quiet = "Nothing is on its way" if asked["open_only"] else "Nothing was deployed yet"
        then = "Choose a model and a device under Deploy; you can watch it here to its end."
        st.html(note("No deployment matches", "Loosen the filter above.") if sought else note(quiet, then))
        return
    ended = words.ended(reading.get("summary"))
    st.html(heading("Deployments", " · ".join(filter(None, (words.count(total, "deployment"), ended)))))
    st.html(tables.deployments(rows, time.time()))
    st.html(tables.legend())


def choose() -> tuple[dict[str, Any], int]:
    """Draw the filters, kept in the address; return what to ask the controller, and the page."""
    with folded("deployments", st.query_params.to_dict(), NARROWS):
        moving, search, device, phase, order = st.columns([2, 3, 3, 2, 2], vertical_alignment="center")
        with moving:
            open_only = paging.only_moving()
        asked: dict[str, Any] = {
            "open_only": open_only,
            "q": inputs.search(search, "sought", "model or device"),
            "device_id": inputs.exactly(device, "device", "Only this device id"),
            "phase": inputs.choice(phase, "phase", "Phase", words.PHASE_MEANS, words.phase),
            "sort": inputs.order(order, "sorted", ORDERS),
        }
    return asked, paging.taken("deployments", asked, PAGE_ROWS)


def cancel(deployment_id: str) -> None:
    """Draw the button that ends a deployment; outside the live part."""
    deployment = api.read("deployment", deployment_id=deployment_id).get("deployment") or {}
    frame.remember("deployment", (deployment_id, deployment.get("terminal")))
    if not deployment or deployment.get("terminal") or not visitor.may():
        return
    if st.button("Cancel this deployment", key="cancel"):
        where = deployment["device_id"]
        actions.ask(
            Action(
                title="Cancel a deployment",
                deed=f"Cancel on {where}",
                consequence=f"`{deployment['model']}` will not be started on **{where}**; what runs there stays.",
                method="cancel",
                targets=(deployment_id,),
            )
        )


asked = st.query_params.get("id", "")
if asked:
    st.html(link("← all deployments", "deployments"))
    actions.report()
    one(asked)
    cancel(asked)
else:
    frame.title("Deployments", "Each one says where it is, since when, and why.")
    several(*choose())
