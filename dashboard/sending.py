"""The last step of a deployment: how many, how, the same as commands, and the button that asks for a yes."""

from collections.abc import Mapping, Sequence

import streamlit as st

from dashboard import actions, api, verdicts, words
from dashboard.actions import Action
from dashboard.markup import join, note, tag
from dashboard.terms import Terms

WAVES, AT_ONCE = "In waves", "All at once"
CANARY = "1,10%,50%,100%"
FROM = 5
"""From how many devices on waves are what is offered first."""


def send(
    model: str,
    ids: Sequence[str],
    allowed: Sequence[str],
    reasons: Mapping[str, str],
    terms: Terms,
    *,
    tags: Sequence[str] = (),
) -> None:
    """Draw how many of `ids` get it, how, the same as commands, and the button that asks for a yes.

    `tags` mean the same devices, where they were chosen by tags alone.
    """
    going = tuple(device_id for device_id in ids if device_id in {*allowed, *reasons})
    left_out = [device_id for device_id in ids if device_id not in going]
    said = f"{len(left_out)} of {len(ids)} left out by the gate: {words.listed(left_out, 6)}" if left_out else ""
    st.html(tag("div", join([tag("b", "5"), tag("h3", "Send"), tag("span", said)]), of="ew-step"))
    if not going:
        st.html(note("Nothing to send", "The gate refused every device; choose another model or budget.", tone="warn"))
        return
    forced = {device_id: why for device_id, why in reasons.items() if device_id not in allowed}
    plan = waves(len(going)) if len(going) > 1 and not forced else ""
    if plan:
        roll_out(model, going, plan, terms)
        shorter = ["--only-fitting"] if left_out and tags else []
        command = verdicts.cli_line(
            model, tags or going, terms.budget_mj, terms.policy, flags=[*terms.flags, *shorter], plan=plan
        )
        st.html(tag("small", "The same from a shell:"))
        st.code(command, language=None, wrap_lines=True)
    else:
        at_once(model, going, forced, terms)


def waves(number: int) -> str:
    """Draw whether the devices get it all at once or in waves; return the plan, empty for all at once."""
    asked = st.query_params.get("plan")
    left, right = st.columns([2, 4], vertical_alignment="bottom")
    how = left.segmented_control(
        "How",
        [WAVES, AT_ONCE],
        default=WAVES if asked or number >= FROM else AT_ONCE,
        required=True,
        key="how",
    )
    if how == AT_ONCE:
        return ""
    given = right.text_input(
        "Waves",
        key="plan",
        bind="query-params",
        placeholder=f"{CANARY}: a canary first, then ever more",
        help="How far each wave reaches, a number or % of the devices. It stops by itself when one goes wrong.",
    )
    return (given or CANARY).replace(" ", "")


def at_once(model: str, ids: tuple[str, ...], forced: Mapping[str, str], terms: Terms) -> None:
    """Draw the button that asks for a yes to a deployment on each device, and the same as commands."""
    over = f" The gate is overridden for **{', '.join(forced)}**." if forced else ""
    count = words.count(len(ids), "device")
    if st.button(f"Deploy to {count}", key="deploy", type="primary"):
        actions.ask(
            Action(
                title=f"Deploy {model}",
                deed=f"Deploy to {count}",
                consequence=f"These devices fetch `{model}`, prove it and then run it {terms.sentence}.{over}",
                method="deploy",
                targets=ids,
                arguments={"model": model} | terms.arguments,
                per_target={device_id: {"force": True, "reason": why} for device_id, why in forced.items()},
            )
        )
    same(model, ids, forced, terms)


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


def same(model: str, ids: tuple[str, ...], reasons: Mapping[str, str], terms: Terms) -> None:
    """Draw the commands that would do the same."""
    budget_mj, policy, flags = terms.budget_mj, terms.policy, terms.flags
    plain = [device_id for device_id in ids if device_id not in reasons]
    lines = [verdicts.cli_line(model, plain, budget_mj, policy, flags=flags)] if plain else []
    lines += [verdicts.cli_line(model, [name], budget_mj, policy, why, flags=flags) for name, why in reasons.items()]
    st.html(tag("small", "The same from a shell:"))
    st.code("\n".join(lines), language=None, wrap_lines=True)
    with st.expander("Or over MQTT, without this page"):
        broker = (api.read("status").get("broker") or {}).get("url") or ""
        typed = verdicts.mqtt_lines(model, ids[:10], budget_mj, broker, terms=terms.command)
        st.code(typed, language=None, wrap_lines=True)
