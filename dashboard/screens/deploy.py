"""Deploy: a model, where to, within which budget; the gate answers before anything is sent."""

import time
from collections import Counter
from typing import Any

import streamlit as st

from broker.energy import MWH_BASIS_INFERENCES, mwh_from_mj
from dashboard import actions, api, frame, sending, signing_in, verdicts, views, visitor, words
from dashboard.inputs import energy_budget, latency_budget
from dashboard.markup import join, note, tag, written
from dashboard.terms import Terms, choose_terms
from dashboard.verdicts import Judged

POLICIES = {"strict": "upper end of the interval", "expected": "expected value"}
ONE_BY_ONE = 12  # up to this many devices the gate's answer is shown for each of them; above, for each board
MOST = 1_000


def step(number: int, title: str, aside: str = "") -> None:
    """Draw the title of one step."""
    st.html(tag("div", join([tag("b", str(number)), tag("h3", title), tag("span", aside)]), of="ew-step"))


def choose_model(models: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Draw step one; return the chosen model."""
    step(1, "Model")
    known = {model["name"]: model for model in models}
    wanted = st.session_state.pop("switch-model", None)
    if wanted in known:
        st.session_state["model"] = wanted
    name = st.selectbox(
        "Model",
        list(known),
        index=None,
        key="model",
        bind="query-params",
        placeholder="Choose a model",
        label_visibility="collapsed",
    )
    if name is None:
        return None
    st.html(verdicts.model_facts(known[name]))
    return known[name]


def choose_devices(devices: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """Draw step two; return the devices, and the tags that mean the same, where only tags are given."""
    step(2, "Where", "by id, by tag, or both")
    known = {device["id"]: device for device in devices}
    by_id, by_tag = st.columns([3, 2])
    named = by_id.multiselect(
        "Devices", list(known), key="to", bind="query-params", placeholder="Devices by id", label_visibility="collapsed"
    )
    tags = by_tag.multiselect(
        "Tags",
        sorted({*views.known_tags(devices), *st.query_params.get_all("tagged")}),
        key="tagged",
        bind="query-params",
        placeholder="or by tag",
        label_visibility="collapsed",
    )
    tagged = [device for each in tags for device in api.fleet(tag=each).get("devices", [])]
    chosen = list({device["id"]: device for device in [*(known[each] for each in named), *tagged]}.values())
    if chosen:
        ids = [device["id"] for device in chosen]
        there = f"{words.count(len(ids), 'device')}: {words.listed(ids, 12)}{_late(chosen)}"
        st.html(join([tag("p", tag("small", there)), tag("p", tag("small", _standing(chosen)))]))
    return chosen, () if named else tuple(tags)


def choose_budget() -> tuple[float | None, float | None, str]:
    """Draw step three; return mJ per inference, ms of the p95, and the policy."""
    step(3, "Budget", "the most that one inference may cost and take")
    left, middle, right = st.columns([2, 2, 2], vertical_alignment="bottom")
    empty = "Leave it empty to deploy without a budget; the device then has nothing to keep to."
    budget = energy_budget(left, "mJ per inference", empty)
    policy = right.segmented_control(
        "What has to fit",
        list(POLICIES),
        default="strict",
        required=True,
        key="policy",
        bind="query-params",
        format_func=POLICIES.__getitem__,
    )
    latency_ms = latency_budget(middle)
    if budget is not None:
        mwh = words.amount(mwh_from_mj(budget), "mWh")
        st.html(tag("small", f"= {mwh} for a run of {MWH_BASIS_INFERENCES} inferences"))
    return budget, latency_ms, policy


def hear_gate(model: str, ids: tuple[str, ...], terms: Terms) -> tuple[list[Judged], tuple[str, ...]]:
    """Draw step four: what the gate says of each device, of each board for many; return that and who is let through."""
    step(4, "What the gate says", "nothing is sent yet")
    with st.spinner("Asking the gate"):
        if len(ids) <= ONE_BY_ONE:
            readings = api.gate(model, ids, terms.budget_mj, terms.policy)
            judges = [verdicts.judged(device_id, reading) for device_id, reading in zip(ids, readings, strict=True)]
            allowed = tuple(judge.device_id for judge in judges if judge.allowed)
        else:
            plan = api.plan(model, ids, terms.arguments)
            frame.answered(plan, "plan")
            found = plan.get("plan") or {}
            judges, left_out = verdicts.by_board(found), set(found.get("excluded_ids", ids))
            allowed = tuple(device_id for device_id in ids if device_id not in left_out)
    st.html(verdicts.rows(judges))
    return judges, allowed


def offer(refused: list[Judged]) -> None:
    """Draw the models that would fit where this one does not; one click takes one."""
    with st.container(horizontal=True):
        for each in verdicts.fitting([judge for judge in refused if judge.verdict in {"over", "tight"}])[:3]:
            top1 = f", top-1 {words.amount(each.top1_pct, '%')}" if each.top1_pct is not None else ""
            if each.loss_points is not None and round(each.loss_points, 1):
                top1 += f" ({-each.loss_points:+.1f} points)"
            label = f"Take {each.model} instead: up to {words.amount(each.high_mj, 'mJ')}{top1}"
            st.button(label, key=f"take-{each.model}", on_click=_switch, args=(each.model,))


def override(refused: list[Judged]) -> dict[str, str]:
    """Draw one reason field per refused device; return those that were given, by id."""
    able = [judge.device_id for judge in refused if judge.overridable]
    if not able:
        return {}
    with st.expander("Deploy all the same, with a reason that is kept"):
        given = {
            device_id: st.text_input(f"Reason for {device_id}", key=f"reason-{device_id}", max_chars=200)
            for device_id in able[:10]
        }
    return {device_id: reason.strip() for device_id, reason in given.items() if reason and reason.strip()}


def _not_stored(stored: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the model that the address names when it is not among those in the store but could be made."""
    name = st.session_state.get("model") or st.query_params.get("model", "")
    if not name or name in {model["name"] for model in stored}:
        return []
    found = api.read_slowly("model", name=name).get("model")
    return [found] if found else []


def _not_listed(devices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the devices that the address names and the list does not have: new ones, and those beyond its end."""
    listed = {device["id"] for device in devices}
    asked = dict.fromkeys(st.query_params.get_all("to"))
    found = [api.read_slowly("device", device_id=each).get("device") for each in asked if each not in listed]
    return [device for device in found if device]


def _standing(devices: list[dict[str, Any]]) -> str:
    """Return how many of the devices are live, and on which boards they are."""
    live = sum(device.get("health") == "live" for device in devices)
    boards = Counter(sorted(device.get("device_type") or "unknown" for device in devices))
    return f"{live} live now · " + ", ".join(f"{number} {board}" for board, number in boards.most_common(6))


def _late(devices: list[dict[str, Any]]) -> str:
    """Return which of the devices do not get it at once, and when."""
    away = [device["id"] for device in devices if device.get("health") == "offline"]
    late = f"; {words.listed(away)} will get it when back online" if away else ""
    asleep = [device for device in devices if device.get("wake_at") is not None]
    return late + "".join(
        f"; {device['id']} sleeps, {words.promised(device['wake_at'], time.time())}" for device in asleep[:3]
    )


def _switch(model: str) -> None:
    st.session_state["switch-model"] = model


def main() -> None:
    """Draw the steps as far as the choices go."""
    frame.title("Deploy a model", "The gate says what it will cost each device before anything is sent.")
    actions.report()
    if not visitor.may():
        said = "Deploying needs the role operator; what runs where is on the other pages."
        st.html(note(f"You are signed in as {visitor.known()['role']}", said, hint=signing_in.HINT))
        return
    catalogue, fleet = api.read_slowly("models", limit=500, stored=True), api.fleet()
    if not frame.answered(catalogue, "models") or not frame.answered(fleet, "devices"):
        return
    devices = fleet.get("devices") + _not_listed(fleet.get("devices"))
    if not catalogue.get("models") or not devices:
        empty = "models" if not catalogue.get("models") else "devices"
        st.html(note(f"There are no {empty} yet", written("`edgewatt demo` starts five devices with four models.")))
        return
    model = choose_model(catalogue.get("models") + _not_stored(catalogue.get("models")))
    chosen, tags = choose_devices(devices)
    ids = tuple(device["id"] for device in chosen)
    budget_mj, latency_ms, policy = choose_budget()
    if chosen:
        st.html(verdicts.present(chosen, budget_mj, latency_ms))
    terms = choose_terms(budget_mj, latency_ms, policy)
    if model is None or not ids:
        st.html(note("Choose a model and a device", "The gate then says for each device whether it fits."))
        return
    if len(ids) > MOST:
        st.html(note(f"{len(ids):,} devices at once", f"This page sends to {MOST:,} at most; narrow it.", tone="warn"))
        return
    judges, allowed = hear_gate(model["name"], ids, terms)
    refused = [judge for judge in judges if not judge.allowed]
    offer(refused)
    reasons = override(refused) if len(ids) <= ONE_BY_ONE else {}
    sending.send(model["name"], ids, allowed, reasons, terms, tags=tags)


main()
