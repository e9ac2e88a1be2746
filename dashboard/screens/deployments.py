"""Deployments: which ones move, how each went, and one of them live to its end."""

import time

import streamlit as st

from dashboard import actions, api, frame, life, paging, tables, words
from dashboard.actions import Action
from dashboard.markup import heading, link, note

LIVE_S = 2.0
PAGE_ROWS = 50


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
def several(device_id: str, moving: bool, page: int) -> None:
    """Draw one page of deployments, newest first; live."""
    query = {"device_id": device_id, "open_only": moving, "limit": PAGE_ROWS}
    reading = api.read("deployments", offset=(page - 1) * PAGE_ROWS, **query)
    if not frame.answered(reading, "deployments"):
        return
    rows, total = reading.get("deployments", []), int(reading.get("total", 0))
    if not rows:
        quiet = "Nothing is on its way" if moving else "Nothing was deployed yet"
        st.html(note(quiet, "Choose a model and a device under Deploy; you can watch it here to its end."))
        return
    ended = words.ended(reading.get("summary"))
    st.html(heading("Newest first", " · ".join(filter(None, (words.count(total, "deployment"), ended)))))
    st.html(tables.deployments(rows, time.time()))
    st.html(tables.legend())


def choose() -> tuple[str, bool, int]:
    """Draw the filters, kept in the address; return the device, whether only those that move, and the page."""
    left, right = st.columns([1, 2])
    with left:
        moving = paging.only_moving()
    device_id = right.text_input(
        "Device", key="device", bind="query-params", placeholder="Only this device id", label_visibility="collapsed"
    )
    query = {"device_id": device_id or "", "open_only": moving, "limit": PAGE_ROWS}
    total = int(api.read("deployments", offset=0, **query).get("total", 0))
    return device_id or "", moving, paging.page_of(total, PAGE_ROWS, "from")


def cancel(deployment_id: str) -> None:
    """Draw the button that ends a deployment; outside the live part."""
    deployment = api.read("deployment", deployment_id=deployment_id).get("deployment") or {}
    frame.remember("deployment", (deployment_id, deployment.get("terminal")))
    if not deployment or deployment.get("terminal"):
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
