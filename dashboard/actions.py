"""Writes: asked for, confirmed with names and consequences, sent once, and then watched."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from broker.errors import EdgeWattError
from dashboard import api, words
from dashboard.markup import EMPTY, join, link, note, tag

_PENDING, _OUTCOMES = "pending_action", "outcomes"
SHOWN_NAMES = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """A write that waits for a yes: the ids in `targets` are those shown, and those sent.

    `method` is a method of the client, called once per target with `arguments`, and with what `per_target` holds for
    it. `typed` asks for this word before the button works; `watched` is where the result will be seen.
    """

    title: str
    deed: str
    consequence: str
    method: str
    targets: tuple[str, ...]
    arguments: dict[str, Any] = field(default_factory=dict)
    per_target: dict[str, dict[str, Any]] = field(default_factory=dict)
    typed: str = ""
    watched: str = "under Deployments and on the device's page"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the controller answered for one target."""

    target: str
    accepted: bool
    sentence: str
    deployment_id: str = ""
    rollout_id: str = ""


def ask(action: Action) -> None:
    """Remember `action` and ask for a yes at the end of this run."""
    st.session_state[_PENDING] = action


def tell(action: Action) -> None:
    """Do what needs no question, and keep what came of it for `report`."""
    outcomes = perform(action)
    st.session_state[_OUTCOMES] = (action.title, outcomes)
    st.toast(_summary(outcomes, action.watched))
    if action.method == "make_rollout" and all(each.accepted for each in outcomes):
        st.switch_page("screens/rollouts.py", query_params={"id": outcomes[0].rollout_id})
    st.rerun()


def waiting() -> bool:
    """Whether a question is open; nothing may redraw the page under it."""
    return _PENDING in st.session_state


def settle() -> None:
    """Open the question of the pending action, if there is one."""
    action = st.session_state.get(_PENDING)
    if action is None:
        return
    st.dialog(action.title, on_dismiss=_drop)(_question)(action)


def perform(action: Action) -> list[Outcome]:
    """Send the write once per target, in their order; never raises what the controller said."""
    call: Callable[..., dict[str, Any]] = getattr(api.client(), action.method)
    outcomes = []
    for target in action.targets:
        try:
            answer = call(target, **action.arguments, **action.per_target.get(target, {}))
        except EdgeWattError as error:
            said = f"{error.message}. {error.hint}" if error.hint else error.message
            made = str(error.facts.get("deployment_id") or "")
            outcomes.append(Outcome(target=target, accepted=False, sentence=said, deployment_id=made))
        else:
            made = str(answer.get("deployment_id") or "")
            when = words.promised(answer.get("will_apply_at"), time.time())
            sentence = f"accepted; it sleeps and {when}" if when else "accepted"
            rolling = str(answer.get("rollout_id") or "")
            outcomes.append(
                Outcome(target=target, accepted=True, sentence=sentence, deployment_id=made, rollout_id=rolling)
            )
    api.forget_answers()
    return outcomes


def report() -> None:
    """Draw what the last action came to, until it is put away."""
    told: tuple[str, list[Outcome]] | None = st.session_state.get(_OUTCOMES)
    if told is None:
        return
    title, outcomes = told
    lines = []
    for each in outcomes:
        page, made = ("rollouts", each.rollout_id) if each.rollout_id else ("deployments", each.deployment_id)
        watch = link("watch it", page, of="ew-go", id=made) if made else EMPTY
        lines.append(tag("p", join([tag("b", each.target), f": {each.sentence} ", watch])))
    bad = [each for each in outcomes if not each.accepted]
    told_as = title if not bad else f"{title}: {len(bad)} of {len(outcomes)} not accepted"
    st.html(note(told_as, join(lines), tone="bad" if bad else "good"))
    st.button("Put away", key="put-away", type="tertiary", on_click=lambda: st.session_state.pop(_OUTCOMES, None))


def _question(action: Action) -> None:
    st.markdown(action.consequence)
    shown = action.targets[:SHOWN_NAMES]
    rest = len(action.targets) - len(shown)
    more = f" and {rest} more" if rest else ""
    st.html(tag("div", join([join(tag("span", each, of="ew-tag") for each in shown), more])))
    typed = st.text_input(f"Type {action.typed} to confirm", key="typed-name") if action.typed else ""
    with st.container(horizontal=True):
        unsure = bool(action.typed) and typed != action.typed
        if st.button(action.deed, key="confirm", type="primary", disabled=unsure):
            _drop()
            tell(action)
        if st.button("Leave it", key="leave"):
            _drop()
            st.rerun()


def _summary(outcomes: list[Outcome], watched: str) -> str:
    good = sum(each.accepted for each in outcomes)
    where = "on its own page" if any(each.rollout_id for each in outcomes) else watched
    return f"{good} of {len(outcomes)} accepted; the result is {where}"


def _drop() -> None:
    st.session_state.pop(_PENDING, None)
