"""Predictions: which model for which board, and how far the figures can be trusted."""

from typing import Any

import pandas as pd
import streamlit as st

from dashboard import api, frame, frontier, inputs, maps, shelf, trust, words
from dashboard.api import Reading
from dashboard.inputs import energy_budget
from dashboard.markup import EMPTY, heading, join, link, note

MODELS, TRUST = "Which model", "How good is the predictor"
FROM_BOARDS = ("raspberry_pi_5", "raspberry_pi_4", "jetson_nano_2gb")


def which_model() -> None:
    """Draw the map, what is picked on it, and the table."""
    known = shelf.boards(api.fleet().get("devices", []))
    board, budget_mj, published = filters([*known, *(each for each in FROM_BOARDS if each not in known)])
    with st.spinner("Asking what each model costs"):
        reading = api.read_slowly("pareto", device_type=board, published=published)
    if not frame.answered(reading, "predictions"):
        return
    models, apart = reading.get("models", []), reading.get("apart", [])
    if not models and not apart:
        st.html(note("No models yet", "Add a file:", hint="edgewatt models add FILE"))
        return
    if models:
        compared, order = narrowed(only(models))
        if not compared:
            st.html(note("No model matches", "Loosen the search above; the models are still there."))
            return
        picked = pick(compared)
        rows = pd.DataFrame(frontier.spots(compared, budget_mj, picked))
        st.html(heading("Accuracy against energy", frontier.headline(compared, budget_mj)))
        st.vega_lite_chart(None, maps.document("frontier", rows, budget_mj=budget_mj), width="stretch")
        chosen(compared, picked, budget_mj)
        kept = {"board": board, "published": "true" if published else ""}
        kept |= {"energy_mj": f"{budget_mj:g}"} if budget_mj is not None else {}
        first, rest = frontier.worth_showing(frontier.ordered(compared, order), picked)
        st.html(frontier.catalogue(first, picked, budget_mj, kept))
        if rest:
            with st.expander(f"{words.count(len(rest), 'dominated model')} more"):
                st.html(frontier.catalogue(rest, picked, budget_mj, kept))
    else:
        why = "Nothing measured is like it, so there is no number rather than a guess."
        hint = "Measure on one device: edgewatt devices measure ID MODEL"
        st.html(note(f"No prediction for {board}", why, tone="odd", hint=hint))
    if apart:
        st.html(frontier.apart(apart))


def filters(boards: list[str]) -> tuple[str, float | None, bool]:
    """Draw board, budget and what is shown; return them."""
    left, middle, right = st.columns([2, 2, 2], vertical_alignment="bottom")
    board = left.selectbox("Board", boards, key="board", bind="query-params", help="Energy depends on the board.")
    budget = energy_budget(middle, "Budget, mJ per inference", "The upper end of an interval has to fit it.")
    published = right.toggle(
        "With published networks",
        key="published",
        bind="query-params",
        help="The networks of the measured literature, for orientation; they are not in the store.",
    )
    return board or boards[0], budget, bool(published)


def narrowed(models: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], str]:
    """Draw what can be asked of the models, and the way to take them; return those asked for, and their order."""
    search, family, order, take = st.columns([3, 2, 2, 2])
    sought = inputs.search(search, "seek", "the models").lower()
    of = inputs.choice(family, "kin", "Family", sorted({each["family"] for each in models if each.get("family")}))
    found = [each for each in models if sought in each["name"].lower() and of in {"", each.get("family")}]
    by = inputs.order(order, "rank", frontier.ORDERS)
    inputs.take_rows(take, "predictions", frontier.COLUMNS, frontier.ordered(found, by))
    return found, by


def only(models: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Draw the choice of what models answer, where there are several; return those of the chosen one."""
    tasks = frontier.tasks(models)
    if len(tasks) == 1:
        return models
    task = st.segmented_control(
        "Compared are models with",
        tasks,
        default=tasks[0],
        required=True,
        key="task",
        help="Accuracy on ten labels cannot be compared with accuracy on a thousand.",
    )
    return [each for each in models if (each.get("task") or "unknown") == task]


def pick(models: list[dict[str, Any]]) -> str:
    """Draw the picker of one model; return its name, or nothing."""
    names = [each["name"] for each in models]
    found = st.selectbox(
        "Model", names, index=None, key="pick", bind="query-params", placeholder="Pick a model to see it on the map"
    )
    return found or ""


def chosen(models: list[dict[str, Any]], picked: str, budget_mj: float | None) -> None:
    """Draw what is known of the picked model, and the way to deploy it."""
    model = next((each for each in models if each["name"] == picked), None)
    if model is None:
        return
    figures = f"{words.amount(model['energy_mj'], 'mJ')} per inference ({model['energy_source']})"
    text = f"top-1 {words.amount(model['top1_pct'], '%')}, {figures}; {frontier.beaten(model)}"
    limit = "" if budget_mj is None else f"{budget_mj:g}"
    way = (
        link("Deploy this", "deploy", of="ew-go", model=model["name"], energy_mj=limit) if model["in_store"] else EMPTY
    )
    st.html(note(model["name"], join([text, " ", way]), tone="good" if model["on_frontier"] else "mute"))


def how_good() -> None:
    """Draw what training says of the predictor, then what the fleet measured since."""
    reading = api.read_slowly("energy_metadata")
    if not frame.answered(reading, "figures of the predictor"):
        return
    metadata = reading.get("data") or {}
    boards = trust.boards(metadata)
    st.html(heading("On networks it had not seen", trust.provenance(metadata)))
    if boards:
        rows = trust.errors(boards)
        if rows:
            st.vega_lite_chart(None, maps.document("errors", pd.DataFrame(rows)), width="stretch")
        st.html(trust.board_table(boards))
    else:
        st.html(note("No figures", "The predictor says nothing about its training."))
    measured_since(api.read_slowly("ledger", limit=1_000))


def measured_since(reading: Reading) -> None:
    """Draw predicted against measured from the ledger, or why there is nothing to draw."""
    st.html(heading("On your own fleet", "predicted, and what the device then reported"))
    if reading.problem is not None and reading.problem.code == "not_found":
        st.html(note("There is no ledger", "This controller does not keep one yet."))
        return
    if not frame.answered(reading, "ledger"):
        return
    entries, summary = reading.get("entries", []), reading.get("summary") or {}
    points = trust.compared(entries)
    if entries:
        inputs.take_csv(st.container(), "ledger")
    if not points:
        hint = "edgewatt devices measure ID MODEL"
        st.html(note("Nothing to compare yet", "Deploy a model, or measure one on a device:", hint=hint))
        return
    st.vega_lite_chart(None, maps.document("told_and_came", pd.DataFrame(points)), width="stretch")
    boards, families = summary.get("per_device_type") or {}, summary.get("per_family") or {}
    if boards:
        st.html(trust.group_table(boards, "Board"))
        st.html(trust.group_table(families, "Family"))
    else:
        why = "What a device models or simulates is shown, and never counts as truth."
        st.html(note("No meter has measured anything yet", why, hint="edgewatt devices measure ID MODEL"))
    worst, drift = trust.worst(entries), reading.get("drift", [])
    if worst:
        st.html(trust.worst_table(worst))
    if drift:
        st.html(trust.drift_table(drift))


def main() -> None:
    """Draw the chosen half of the page."""
    frame.title("Predictions", "Which model for which board, and how far the figures can be trusted.")
    if inputs.one_of("View", [MODELS, TRUST], MODELS, key="view") == TRUST:
        how_good()
    else:
        which_model()


main()
