"""Rollouts: how far each is; one of them wave by wave, with what a person can do about it."""

import time
from typing import Any

import streamlit as st

from dashboard import actions, api, frame, inputs, paging, rollouts, visitor, words
from dashboard.actions import Action
from dashboard.folding import folded
from dashboard.markup import heading, link, note, written

LIVE_S = 2.0
PAGE_ROWS = 25
NARROWS = {"name": "words", "stands": "phase", "ordered": "order"}
STEERABLE = ("planned", "running", "paused")


@st.fragment(run_every=LIVE_S)
def head(rollout_id: str) -> None:
    """Draw how a rollout stands; live."""
    reading = api.read("rollout", rollout_id=rollout_id, limit=rollouts.MOST_CELLS)
    if not frame.answered(reading, "rollout"):
        return
    found, now = reading.get("rollout"), time.time()
    frame.redraw_if_changed("rollout", _drawn(found))
    st.html(rollouts.headline(found, now))
    st.html(rollouts.bar(found["counts"]))
    st.html(rollouts.legend(found["counts"]))


@st.fragment(run_every=LIVE_S)
def one(rollout_id: str) -> None:
    """Draw a rollout's waves, failures, who is waited for, and what it costs; live."""
    reading = api.read("rollout", rollout_id=rollout_id, limit=rollouts.MOST_CELLS)
    found, devices, now = reading.get("rollout"), reading.get("devices", []), time.time()
    if found is None:
        return
    st.html(heading("Waves", "one square is one device; failures first"))
    st.html(rollouts.waves(found, devices, now))
    _section("What went wrong", "in which step, and why", rollouts.failures(devices, now))
    _section("Waiting for", "they get it when they are back; nobody waits for them", rollouts.waiting_for(found, now))
    _section("Before and after", "means; did the gate tell the truth?", rollouts.before_and_after(found))
    with st.expander("Who did what"):
        st.html(rollouts.audit(found, now))
        everything = link("All events, with those of its deployments →", "events", of="ew-go", rollout=found["id"])
        st.html(everything)


@st.fragment(run_every=LIVE_S)
def several(asked: dict[str, Any], page: int) -> None:
    """Draw one page of rollouts; live."""
    reading = api.read("rollouts", limit=PAGE_ROWS, offset=(page - 1) * PAGE_ROWS, **asked)
    if not frame.answered(reading, "rollouts"):
        return
    rows, total = reading.get("rollouts", []), int(reading.get("total", 0))
    if not rows and (asked["q"] or asked["phase"]):
        st.html(note("No rollout matches", "Loosen the filter above."))
        return
    if not rows:
        quiet = "No rollout is under way" if asked["open_only"] else "Nothing was rolled out yet"
        st.html(
            note(quiet, written("`edgewatt deploy MODEL --to TAG --plan 1,10%,50%,100%` makes one; watch it here."))
        )
        return
    st.html(heading("Rollouts", words.count(total, "rollout")))
    st.html(rollouts.listing(rows, time.time()))


def choose() -> tuple[dict[str, Any], int]:
    """Draw the filters, kept in the address; return what to ask the controller, and the page."""
    with folded("rollouts", st.query_params.to_dict(), NARROWS):
        moving, search, phase, order = st.columns([2, 3, 2, 2], vertical_alignment="center")
        with moving:
            open_only = paging.only_moving()
        asked: dict[str, Any] = {
            "open_only": open_only,
            "q": inputs.search(search, "name", "model or who asked"),
            "phase": inputs.choice(phase, "stands", "Phase", rollouts.PHASES, words.phase),
            "sort": inputs.order(order, "ordered", {"newest first": "newest", "oldest first": "oldest"}),
        }
    return asked, paging.taken("rollouts", asked, PAGE_ROWS)


def steer(rollout_id: str) -> None:
    """Draw what can be done about a rollout; between the live parts."""
    found = api.read("rollout", rollout_id=rollout_id, limit=rollouts.MOST_CELLS).get("rollout")
    if not found:
        return
    frame.remember("rollout", _drawn(found))
    if not visitor.may():
        return
    have = sum(found["counts"].get(name, 0) for name in ("done", "breached"))
    failed = found["counts"].get("failed", 0)
    with st.container(horizontal=True):
        if found["phase"] == "running" and st.button("Pause", key="pause"):
            actions.ask(_pause(found))
        if found["phase"] == "paused" and st.button("Resume", key="resume", type="primary"):
            actions.ask(_resume(found))
        if failed and found["phase"] != "rolling_back" and st.button(f"Retry {failed} failed", key="retry"):
            actions.ask(_retry(found, failed))
        if found["phase"] in STEERABLE and st.button("Abort", key="abort"):
            actions.ask(_abort(found, have))
        if have and found["phase"] in STEERABLE and st.button("Abort and roll back", key="roll-back"):
            actions.ask(_roll_back(found, have))


def _pause(found: dict[str, Any]) -> Action:
    return Action(
        title=f"Pause the rollout of {found['model']}",
        deed="Pause",
        consequence="No further device begins. What is under way goes on to its end; those done keep the model.",
        method="pause_rollout",
        targets=(found["id"],),
    )


def _resume(found: dict[str, Any]) -> Action:
    return Action(
        title=f"Resume the rollout of {found['model']}",
        deed="Go on",
        consequence=f"It stopped because: {found['reason']}. What went wrong so far no longer counts against it.",
        method="resume_rollout",
        targets=(found["id"],),
    )


def _retry(found: dict[str, Any], failed: int) -> Action:
    where = "in a new rollout of one wave" if found["terminal"] else "in the wave at work"
    return Action(
        title=f"Try {found['model']} again",
        deed=f"Retry on {words.count(failed, 'device')}",
        consequence=f"The devices on which it failed try again, {where}; the gate is asked again.",
        method="retry_rollout",
        targets=(found["id"],),
    )


def _abort(found: dict[str, Any], have: int) -> Action:
    done = "Each device that has it keeps" if have != 1 else "The one device that has it keeps"
    kept = f"{done} `{found['model']}`." if have else "No device has it yet."
    return Action(
        title=f"Abort the rollout of {found['model']}",
        deed="Abort",
        consequence=f"It ends for good, and what is under way is cancelled. **{have} done**: {kept}",
        method="abort_rollout",
        targets=(found["id"],),
        typed=found["model"],
    )


def _roll_back(found: dict[str, Any], have: int) -> Action:
    return Action(
        title=f"Take {found['model']} back",
        deed=f"Abort and roll back {words.count(have, 'device')}",
        consequence="It ends for good, and what is under way is cancelled. "
        f"**{have} done**: each returns to the model that it ran before; one that is away does when it is back.",
        method="abort_rollout",
        targets=(found["id"],),
        arguments={"roll_back": True},
        typed=found["model"],
    )


def _section(title: str, aside: str, content: str) -> None:
    if content:
        st.html(heading(title, aside))
        st.html(content)


def _drawn(found: dict[str, Any]) -> tuple[Any, ...]:
    """Return what the buttons depend on."""
    counts = found["counts"]
    return (
        found["id"],
        found["phase"],
        found["reason"],
        *(counts.get(name) for name in ("failed", "done", "breached")),
    )


asked = st.query_params.get("id", "")
if asked:
    st.html(link("← all rollouts", "rollouts"))
    actions.report()
    head(asked)
    steer(asked)
    one(asked)
else:
    frame.title("Rollouts", "A model on its way to many devices, wave by wave; it stops by itself when it goes wrong.")
    several(*choose())
