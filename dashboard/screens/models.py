"""Models: what is in the store, what could be made, and what it costs; one of them version by version."""

import time
from collections.abc import Iterable
from typing import Any

import pandas as pd
import streamlit as st

from broker.errors import EdgeWattError
from dashboard import actions, api, charts, frame, inputs, paging, shelf, versions, visitor, words
from dashboard.actions import Action
from dashboard.folding import folded
from dashboard.markup import heading, link, note, written

PAGE_ROWS = 100
PLACES = {"in the store": {"stored": True}, "well known": {"popular": True}, "all": {}}
SORTS = {
    "stored first": "",
    "most accurate": "top1_pct",
    "least work": "gmacs",
    "smallest": "params_m",
    "by name": "name",
}
NARROWS = {"find": "name", "place": "place", "family": "family", "board": "board", "sort": "order"}
_MEANT = "Whoever gives the bare name gets that version: the gate, a deployment, a rollout, a command typed on the bus."
_UNMEANT = "No version is promoted, so a file that is added is what the next deployment gets."
CHEAPEST = {"least energy": "energy_mj"}  # needs a board


def filters(boards: list[str], families: Iterable[str]) -> dict[str, Any]:
    """Draw search, place, family, order and board, all kept in the address; return what to ask the controller."""
    with folded("models", st.query_params.to_dict(), NARROWS):
        search, place, family, order, board = st.columns([3, 2, 2, 2, 2])
        q = search.text_input(
            "Search", key="find", bind="query-params", placeholder="Part of the name", label_visibility="collapsed"
        )
        where = place.selectbox("Place", list(PLACES), key="place", bind="query-params", label_visibility="collapsed")
        of = family.selectbox(
            "Family",
            ["", *families],
            key="family",
            bind="query-params",
            format_func=lambda name: name or "Any family",
            label_visibility="collapsed",
        )
        chosen = board.selectbox(
            "Board",
            boards,
            index=0 if boards else None,
            key="board",
            bind="query-params",
            placeholder="no board is known yet",
            label_visibility="collapsed",
        )
        orders = SORTS | (CHEAPEST if chosen else {})
        sort = order.selectbox("Order", list(orders), key="sort", bind="query-params", label_visibility="collapsed")
    wanted = {"q": q or "", "family": of or "", "sort": orders[sort], "device_type": chosen or ""}
    return {name: value for name, value in wanted.items() if value} | PLACES[where]


def draw(reading: api.Reading, query: dict[str, Any], page: int, devices: list[dict[str, Any]]) -> None:
    """Draw one page of models, and the map of accuracy against energy."""
    models, total, board = reading.get("models", []), int(reading.get("total", 0)), query.get("device_type", "")
    forecast = shelf.predictions(models)
    spots = shelf.spots(models, forecast)
    if len(spots) > 1:
        st.html(heading("Accuracy against energy", f"predicted for {board}; bars: 95 % interval"))
        chart = charts.cost(pd.DataFrame(spots), named=len(spots) <= shelf.NAMED_UP_TO)
        st.vega_lite_chart(chart.data, chart.spec, width="stretch")
    if board and not forecast:
        why = "Nothing measured is like it, so there is no number rather than a guess."
        hint = "Measure on one device: edgewatt devices measure ID MODEL"
        st.html(note(f"No prediction for {board}", why, tone="odd", hint=hint))
    first = (page - 1) * PAGE_ROWS + 1
    told = f"{first:,}–{first + len(models) - 1:,} of {words.count(total, 'model')}"
    st.html(heading("Catalogue", f"{told}, predicted for {board}" if board else told))
    st.html(shelf.catalogue(models, forecast, shelf.where(devices)))
    if query.get("stored"):
        st.html(link("See those that could be made, too", "models", of="ew-go", place="all", board=board))


def put_away(models: list[dict[str, Any]]) -> None:
    """Draw how a stored model is put away; refused with the places while it is in use."""
    stored = [each["name"] for each in models if each.get("stored")]
    if not stored or not visitor.may():
        return
    with st.expander("Put a model away"):
        name = st.selectbox("Model to put away", stored, index=None, key="away", placeholder="Choose a stored model")
        if st.button("Put it away", key="archive", disabled=name is None):
            actions.ask(
                Action(
                    title=f"Put {name} away",
                    deed="Put it away",
                    consequence=f"`{name}` is no longer offered; its file stays, and `edgewatt models archive {name} "
                    "--undo` brings it back. It is refused, with the places, while a device runs or keeps it.",
                    method="archive_model",
                    targets=(str(name),),
                )
            )


def one(name: str) -> None:
    """Draw the versions of one model, what each costs beside the one before, and which one the name means."""
    reading = api.read("versions", model=name)
    if not frame.answered(reading, "versions"):
        return
    found = reading.get("versions", [])
    promoted = next((each["sha256"] for each in found if each["promoted"]), None)
    st.html(note(f"{name} means {reading.get('means')}", _MEANT if promoted else _UNMEANT))
    st.html(heading("Versions", f"{words.count(len(found), 'version')}, newest first"))
    st.html(versions.listing(found, time.time()))
    promote(name, found, promoted)
    for each in found:
        rows, before = versions.changes(each), versions.short(each["previous_sha256"] or "")
        if rows:
            title = f"{versions.short(each['sha256'])} beside {before}"
            st.html(heading(title, "means over devices; each kind of figure beside its like"))
            st.html(rows)


def promote(name: str, found: list[dict[str, Any]], promoted: str | None) -> None:
    """Draw how another version becomes what the name means; the question tells what that changes."""
    choices = versions.choices(found)
    if not visitor.may() or not (choices or promoted):
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox("Version", list(choices), key="version", format_func=choices.__getitem__, index=None)
        if st.button("Promote it", key="promote", disabled=chosen is None):
            _ask_to_promote(name, {"version": chosen}, "Promote it")
        if promoted and st.button("Take the promotion back", key="unpromote"):
            _ask_to_promote(name, {"undo": True}, "Take it back")


def _ask_to_promote(name: str, wanted: dict[str, Any], deed: str) -> None:
    try:
        plan = api.client().promote_model(name, dry_run=True, **wanted)
    except EdgeWattError as error:
        st.html(note(error.message, error.hint, tone="bad"))
        return
    consequence = f"{plan['sentence'][:1].upper()}{plan['sentence'][1:]}. Deploy or roll out to change devices."
    actions.ask(
        Action(
            title=f"What {name} means",
            deed=deed,
            consequence=consequence,
            method="promote_model",
            targets=(name,),
            arguments=wanted,
            watched="in the list of versions",
        )
    )


def _said(value: Any) -> str:
    return "true" if value is True else str(value)


def main() -> None:
    """Draw the model or the catalogue that was asked for."""
    if asked := st.query_params.get("model", ""):
        frame.title(asked, "Its versions, where each runs, what each costs, and which one its name means.")
        st.html(link("← all models", "models"))
        actions.report()
        one(asked)
        return
    frame.title("Models", "What is in the store, what could be made, and what one inference is predicted to cost.")
    actions.report()
    everything, fleet = api.read_slowly("models", limit=1), api.fleet()
    if not frame.answered(everything, "models"):
        return
    if not everything.get("total"):
        st.html(note("No models yet", written("Add a file with `edgewatt models add FILE`.")))
        return
    devices = fleet.get("devices", [])
    query = filters(shelf.boards(devices), everything.get("families", {}))
    counted = api.read_slowly("models", limit=1, **query)
    if not counted.get("total"):
        hint = "" if "stored" not in query else "Choose `all` to look among those that could be made, too."
        st.html(note("No model matches", "Loosen the filter above.", hint=hint))
        return
    row = st.container(horizontal=True, vertical_alignment="center")
    inputs.take_csv(row, "models", **{name: _said(value) for name, value in query.items()})
    with row:
        page = paging.page_of(counted.get("total", 0), PAGE_ROWS, "sheet")
    reading = api.read_slowly("models", limit=PAGE_ROWS, offset=(page - 1) * PAGE_ROWS, **query)
    if frame.answered(reading, "models"):
        draw(reading, query, page, devices)
        put_away(reading.get("models", []))


main()
