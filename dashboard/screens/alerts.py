"""Alerts: what needs somebody, worst first, who has seen it; the rules by which that is found."""

import hashlib
import json
import time
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import actions, alert_rules, alerts, api, frame, inputs, paging, visitor, words
from dashboard.folding import folded
from dashboard.markup import heading, link, note

PAGE_ROWS = 50
ROW_PX, HIGHEST_PX = 33, 800
PARTS = ("Alerts", "Rules", "Silences")
SOUGHT = ("view", "severity", "device", "rule")
NARROWS = {"severity": "severity", "device": "device", "rule": "rule"}
ALIKE: Any = {"label_visibility": "collapsed", "bind": "query-params"}


@st.fragment(run_every=frame.LIVE_S)
def head(view: str) -> None:
    """Draw how many alerts are open, and in each view; live."""
    counts = api.read("alerts", limit=1).get("counts")
    title, detail = alerts.headline(counts) if counts else ("Alerts", "")
    frame.title(title, detail)
    if counts:
        st.html(alerts.tiles(counts, view, address("severity", "device", "rule")))


@st.fragment(run_every=frame.LIVE_S)
def listing(asked: dict[str, str], page: int) -> None:
    """Draw one page of the alerts that are asked for; live and read-only."""
    reading = api.read("alerts", limit=PAGE_ROWS, offset=(page - 1) * PAGE_ROWS, **asked)
    if not frame.answered(reading, "alerts"):
        return
    found, total = reading.get("alerts", []), int(reading.get("total", 0))
    if not found:
        title, says = alerts.EMPTY_SAYS[asked["view"]]
        narrowed = any(asked[name] for name in ("severity", "device_id", "rule"))
        st.html(note("No alert matches" if narrowed else title, "Loosen the filter above." if narrowed else says))
        return
    st.html(heading(f"{alerts.VIEWS[asked['view']]}, worst first", words.count(total, "alert")))
    st.html(alerts.listing(found, address(*SOUGHT), time.time()))


def address(*names: str) -> dict[str, str]:
    """Return these fields of the page's address, where they are given."""
    return {name: st.query_params[name] for name in names if name in st.query_params}


def filters(view: str) -> dict[str, str]:
    """Draw what can be asked for, all kept in the address; return it as the client takes it."""
    names = [each["name"] for each in api.read_slowly("alert_rules").get("rules", [])]
    with folded("alerts", address(*SOUGHT), NARROWS):
        first, second, third = st.columns([2, 3, 3])
        severity = inputs.choice(first, "severity", "Severity", alerts.SEVERITIES)
        device_id = inputs.exactly(second, "device", "Only this device id")
        rule = inputs.choice(third, "rule", "Rule", names)
    return {"view": view, "severity": severity, "device_id": device_id, "rule": rule}


def act(asked: dict[str, str], page: int) -> None:
    """Draw what can be done about alerts, chosen by their ids; outside every live part."""
    shown = api.read("alerts", limit=PAGE_ROWS, offset=(page - 1) * PAGE_ROWS, **asked).get("alerts", [])
    named = st.query_params.get_all("on")
    ids = list(dict.fromkeys([*named, *(each["id"] for each in shown if each["open"])]))
    if not ids or not visitor.may():
        return
    st.html(heading("Act on them", "chosen by name, whatever comes into the list meanwhile"))
    chosen = st.multiselect("Alerts", ids, key="on", placeholder="Choose alerts here, or by act in their row", **ALIKE)
    left, right = st.columns(2)
    with left.container(border=True):
        said = st.text_input("Note", key="ack-note", placeholder="A fan is ordered", max_chars=500)
        if st.button("Acknowledge…", key="ack", type="primary", disabled=not chosen):
            actions.ask(alerts.acknowledge(chosen, said.strip()))
    with right.container(border=True):
        span, reach = st.columns(2)
        for_ = span.selectbox("Silence for", list(alerts.SPANS), index=1, key="silence-for")
        of = reach.selectbox("Of", list(alerts.REACHES), key="reach", format_func=alerts.REACHES.__getitem__)
        why = st.text_input("Why", key="silence-why", placeholder="Its roof is being mended", max_chars=500)
        if st.button("Silence…", key="silence", disabled=not chosen):
            actions.ask(alerts.silence(chosen, for_, why.strip(), of))


def silenced() -> None:
    """Draw what is silenced, and how a silence ends early."""
    reading = api.read("silences")
    if not frame.answered(reading, "silences"):
        return
    found = reading.get("silences", [])
    if not found:
        st.html(note("Nothing is silenced", "Silence an alert, its device or its rule from the list of alerts."))
        return
    st.html(alerts.silences(found, time.time()))
    if not visitor.may():
        return
    what = {each["id"]: f"{each['device_id'] or 'every device'}, {each['rule'] or 'every rule'}" for each in found}
    left, right = st.columns([4, 1], vertical_alignment="bottom")
    chosen = left.selectbox("Silence", list(what), key="silence-id", index=None, format_func=what.__getitem__)
    if right.button("End it…", key="end-silence", disabled=chosen is None):
        actions.ask(alerts.end_silence(str(chosen), what[str(chosen)]))


def rules() -> None:
    """Draw the rules as a table to edit, what the edits would have said, and how a rule is made or removed."""
    reading = api.read("alert_rules")
    if not frame.answered(reading, "rules"):
        return
    found = reading.get("rules", [])
    st.html(heading("Rules", "edit a cell, see what it would have said, then save"))
    edited = _table(found)
    changed = alert_rules.changes(found, edited)
    with st.container(horizontal=True):
        tried = st.button("What would these have said?", key="try", disabled=not changed)
        save = f"Save {words.count(len(changed), 'change')}…" if changed else "Save changes…"
        if visitor.may() and st.button(save, key="save", type="primary", disabled=not changed):
            actions.ask(alert_rules.save(changed))
    if tried:
        by_name = {rule["name"]: rule for rule in found}
        for name, fields in changed.items():
            _preview(name, alert_rules.whole(by_name[name], fields))
    _remove(found)
    _make(reading.get("quantities", []))


def _table(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Draw the rules; the table begins anew when what the controller says of them has changed."""
    shown = alert_rules.rows(found)
    of = [{name: row[name] for name in ("rule", *alert_rules.EDITED)} for row in shown]
    key = hashlib.sha256(json.dumps(of, sort_keys=True).encode()).hexdigest()[:12]
    columns = st.column_config
    edited = st.data_editor(
        pd.DataFrame(shown),
        key=f"rules-{key}",
        hide_index=True,
        width="stretch",
        height=min(ROW_PX * (len(shown) + 1) + 3, HIGHEST_PX),
        disabled=[name for name in shown[0] if name not in alert_rules.EDITED],
        column_config={
            "enabled": columns.CheckboxColumn("On", width="small"),
            "rule": columns.TextColumn("Rule", pinned=True),
            "severity": columns.SelectboxColumn("Severity", options=alert_rules.SEVERITIES, required=True),
            "quantity": "Watches",
            "comparison": columns.SelectboxColumn("Is", options=alert_rules.COMPARISONS, required=True, width="small"),
            "threshold": columns.NumberColumn("Threshold", required=True),
            "unit": columns.TextColumn("Unit", width="small"),
            "for_s": columns.NumberColumn("For, s", min_value=0.0, required=True),
            "clear": columns.NumberColumn("Clears at", help="Empty: at the threshold itself."),
            "of": "Of",
            "firing": columns.NumberColumn("Firing", width="small"),
            "no_data": columns.NumberColumn("No data", width="small"),
            "from": "From",
            "why": columns.TextColumn("Why", width="large"),
        },
    )
    rows: list[dict[str, Any]] = edited.to_dict("records")
    return rows


def _preview(name: str, fields: dict[str, Any]) -> None:
    reading = api.read_slowly("preview_alert_rule", **fields)
    if reading.problem is not None:
        st.html(note(f"{name}: not a rule", reading.problem.message, tone="bad", hint=reading.problem.hint))
        return
    where = [f"{each['device_id']} ({each['fired']})" for each in reading.get("devices", [])]
    st.html(note(f"{name} {reading.get('sentence', '')}", words.listed(where) if where else "", tone="mute"))


def _remove(found: list[dict[str, Any]]) -> None:
    given = {rule["name"]: rule for rule in found if rule["changed"]}
    if not given or not visitor.may():
        return
    left, right = st.columns([4, 1], vertical_alignment="bottom")
    name = left.selectbox("Remove one of yours, or reset one of EdgeWatt", list(given), key="gone", index=None)
    if right.button("Remove…", key="remove", disabled=name is None):
        actions.ask(alert_rules.remove(given[str(name)]))


def _make(quantities: list[dict[str, Any]]) -> None:
    """Draw how a rule is made: what it watches, and what it would have said of the last week."""
    known = {each["name"]: each for each in quantities}
    with st.expander("Make a rule"):
        first, second, third = st.columns([3, 1, 2])
        quantity = first.selectbox(
            "Watches", list(known), key="quantity", format_func=lambda each: f"{each}: {known[each]['says']}"
        )
        comparison = second.selectbox("Is", alert_rules.COMPARISONS, key="comparison")
        unit = known[quantity]["unit"] if quantity else ""
        threshold = third.number_input(f"Threshold{f', {unit}' if unit else ''}", key="threshold", value=None)
        first, second, third = st.columns(3)
        clear = first.number_input("Clears at", key="clear", value=None, placeholder="the threshold")
        for_s = second.number_input("For, s", key="for_s", value=60.0, min_value=0.0)
        severity = third.selectbox("Severity", alert_rules.SEVERITIES, key="new-severity")
        first, second = st.columns(2)
        tags = first.text_input("Only with these tags", key="tags", placeholder="line=A, hall=2")
        name = second.text_input("Name", key="new-name", placeholder="warm-line-a", max_chars=48).strip()
        if threshold is None:
            st.html(note("Give a threshold", "Then you see how often the rule would have fired in the last week."))
            return
        fields = {"quantity": quantity, "comparison": comparison, "threshold": threshold, "clear": clear}
        fields |= {"for_s": for_s, "severity": severity, "tags": tuple(filter(None, map(str.strip, tags.split(","))))}
        _preview(name or "It", fields)
        if visitor.may() and st.button("Make it…", key="make", type="primary", disabled=not name):
            actions.ask(alert_rules.create(name, fields))


asked_view = st.query_params.get("view", "open")
chosen_view = asked_view if asked_view in alerts.VIEWS else "open"
head(chosen_view)
part = inputs.one_of("Part", PARTS, "Alerts", key="part")
actions.report()
if part == "Rules":
    rules()
elif part == "Silences":
    silenced()
else:
    sought = filters(chosen_view)
    total = int(api.read("alerts", limit=PAGE_ROWS, offset=0, **sought).get("total", 0))
    number = paging.page_of(total, PAGE_ROWS, "page")
    listing(sought, number)
    act(sought, number)
    st.html(link("what changed when →", "events", of="ew-go", kind="alert"))
