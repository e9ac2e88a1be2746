"""Deploy: a model, where to, within which budget; the gate answers before anything is sent."""

import time
from typing import Any

import streamlit as st

from broker.energy import MWH_BASIS_INFERENCES, mwh_from_mj
from dashboard import actions, api, frame, verdicts, views, words
from dashboard.actions import Action
from dashboard.inputs import energy_budget
from dashboard.markup import join, note, tag
from dashboard.terms import Terms, choose_terms
from dashboard.verdicts import Judged

POLICIES = {"strict": "upper end of the interval", "expected": "expected value"}
AT_ONCE = 100  # devices that one page asks the gate about


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


def choose_devices(devices: list[dict[str, Any]]) -> tuple[str, ...]:
    """Draw step two; return device ids, never positions."""
    step(2, "Where", "by id, by tag, or both")
    ids = [device["id"] for device in devices]
    by_id, by_tag = st.columns([3, 2])
    named = by_id.multiselect(
        "Devices", ids, key="to", bind="query-params", placeholder="Devices by id", label_visibility="collapsed"
    )
    tags = by_tag.multiselect(
        "Tags",
        views.known_tags(devices),
        key="tagged",
        bind="query-params",
        placeholder="or by tag",
        label_visibility="collapsed",
    )
    tagged = [device["id"] for device in devices if set(tags) & set(words.tags(device.get("tags")))]
    chosen = tuple(dict.fromkeys([*named, *tagged]))
    if chosen:
        late = _late([device for device in devices if device["id"] in chosen])
        st.html(tag("small", f"{words.count(len(chosen), 'device')}: {words.listed(list(chosen), 12)}{late}"))
    return chosen


def choose_budget() -> tuple[float | None, str]:
    """Draw step three; return mJ per inference and the policy."""
    step(3, "Energy budget", "the most one inference may cost")
    left, right = st.columns([3, 2], vertical_alignment="bottom")
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
    if budget is not None:
        mwh = words.amount(mwh_from_mj(budget), "mWh")
        st.html(tag("small", f"= {mwh} for a run of {MWH_BASIS_INFERENCES} inferences"))
    return budget, policy


def hear_gate(model: str, ids: tuple[str, ...], budget_mj: float | None, policy: str) -> list[Judged]:
    """Draw step four: what the gate says about each device."""
    step(4, "What the gate says", "nothing is sent yet")
    with st.spinner("Asking the gate about each device"):
        readings = api.gate(model, ids, budget_mj, policy)
    judges = [verdicts.judged(device_id, reading) for device_id, reading in zip(ids, readings, strict=True)]
    st.html(verdicts.rows(judges))
    return judges


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


def send(model: str, judges: list[Judged], reasons: dict[str, str], terms: Terms) -> None:
    """Draw the last step: how many, the same as commands, and the button that asks for a yes."""
    ids = tuple(judge.device_id for judge in judges if judge.allowed or judge.device_id in reasons)
    left_out = len(judges) - len(ids)
    step(5, "Send", f"{left_out} of {len(judges)} left out by the gate" if left_out else "")
    if not ids:
        st.html(note("Nothing to send", "The gate refused every device; choose another model or budget.", tone="warn"))
        return
    forced = [device_id for device_id in ids if device_id in reasons]
    plan = waves(len(ids)) if len(ids) > 1 and not forced else ""
    if plan:
        roll_out(model, ids, plan, terms)
        st.html(tag("small", "The same from a shell:"))
        command = verdicts.cli_line(model, ids, terms.budget_mj, terms.policy, flags=terms.flags, plan=plan)
        st.code(command, language="sh", wrap_lines=True)
        return
    over = f" The gate is overridden for **{', '.join(forced)}**." if forced else ""
    if st.button(f"Deploy to {words.count(len(ids), 'device')}", key="deploy", type="primary"):
        actions.ask(
            Action(
                title=f"Deploy {model}",
                deed=f"Deploy to {words.count(len(ids), 'device')}",
                consequence=f"These devices fetch `{model}`, prove it and then run it {terms.sentence}.{over}",
                method="deploy",
                targets=ids,
                arguments={"model": model} | terms.arguments,
                per_target={device_id: {"force": True, "reason": reasons[device_id]} for device_id in forced},
            )
        )
    same(model, ids, reasons, terms)


def waves(number: int) -> str:
    """Draw whether the devices get it all at once or in waves; return the plan, empty for all at once."""
    given = st.text_input(
        "In waves",
        key="plan",
        bind="query-params",
        placeholder=f"all {number} at once; 1,50%,100% begins with one",
        help="How far each wave reaches, a number or % of the devices. It stops by itself when one goes wrong.",
    )
    return (given or "").replace(" ", "")


def roll_out(model: str, ids: tuple[str, ...], plan: str, terms: Terms) -> None:
    """Draw the button that asks for a yes to a rollout in waves."""
    count = words.count(len(ids), "device")
    if st.button(f"Roll out to {count}", key="roll-out", type="primary"):
        actions.ask(
            Action(
                title=f"Roll out {model}",
                deed=f"Roll out to {count}",
                consequence=f"In waves of {plan}, {words.listed(list(ids), actions.SHOWN_NAMES)} fetch it, "
                f"prove it and then run it {terms.sentence}. It pauses by itself when more than 5 % go wrong.",
                method="make_rollout",
                targets=(model,),
                arguments={"device_ids": ids, "waves": plan.split(",")} | terms.arguments,
            )
        )


def same(model: str, ids: tuple[str, ...], reasons: dict[str, str], terms: Terms) -> None:
    """Draw the commands that would do the same."""
    budget_mj, policy, flags = terms.budget_mj, terms.policy, terms.flags
    plain = [device_id for device_id in ids if device_id not in reasons]
    lines = [verdicts.cli_line(model, plain, budget_mj, policy, flags=flags)] if plain else []
    lines += [verdicts.cli_line(model, [name], budget_mj, policy, why, flags=flags) for name, why in reasons.items()]
    st.html(tag("small", "The same from a shell:"))
    st.code("\n".join(lines), language="sh", wrap_lines=True)
    with st.expander("Or over MQTT, without this page"):
        broker = (api.read("status").get("broker") or {}).get("url") or ""
        typed = verdicts.mqtt_lines(model, ids[:10], budget_mj, broker, terms=terms.command)
        st.code(typed, language="sh", wrap_lines=True)


def _not_stored(stored: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the model that the address names when it is not among those in the store but could be made."""
    name = st.session_state.get("model") or st.query_params.get("model", "")
    if not name or name in {model["name"] for model in stored}:
        return []
    found = api.read_slowly("model", name=name).get("model")
    return [found] if found else []


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
    catalogue, fleet = api.read_slowly("models", limit=500, stored=True), api.fleet()
    if not frame.answered(catalogue, "models") or not frame.answered(fleet, "devices"):
        return
    if not catalogue.get("models") or not fleet.get("devices"):
        empty = "models" if not catalogue.get("models") else "devices"
        st.html(note(f"There are no {empty} yet", "`edgewatt demo` starts five devices with four models."))
        return
    model = choose_model(catalogue.get("models") + _not_stored(catalogue.get("models")))
    ids = choose_devices(fleet.get("devices"))
    budget_mj, policy = choose_budget()
    terms = choose_terms(budget_mj, policy)
    if model is None or not ids:
        st.html(note("Choose a model and a device", "The gate then says for each device whether it fits."))
        return
    if len(ids) > AT_ONCE:
        st.html(note(f"{len(ids):,} devices at once", f"This page sends to {AT_ONCE} at most; narrow it.", tone="warn"))
        return
    judges = hear_gate(model["name"], ids, budget_mj, policy)
    refused = [judge for judge in judges if not judge.allowed]
    offer(refused)
    send(model["name"], judges, override(refused), terms)


main()
