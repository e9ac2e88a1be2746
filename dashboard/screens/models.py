"""Models: what can be shipped, and what it is predicted to cost on a board."""

import pandas as pd
import streamlit as st

from dashboard import api, charts, frame, shelf
from dashboard.markup import heading, note

MOST = 500


def board(devices: list[dict[str, str]]) -> str:
    """Draw the picker of a board type; return it, or nothing."""
    types = shelf.boards(devices)
    picked = st.selectbox(
        "Board",
        types,
        index=0 if types else None,
        key="board",
        bind="query-params",
        placeholder="no board is known yet",
        help="Energy depends on the board; predictions are for the one chosen here.",
    )
    return picked or ""


def main() -> None:
    """Draw the catalogue, and the map of accuracy against energy."""
    frame.title("Models", "What can be shipped, and what one inference is predicted to cost.")
    reading, fleet = api.read_slowly("models", limit=MOST, stored=True), api.fleet()
    if not frame.answered(reading, "models"):
        return
    models = reading.get("models", [])
    if not models:
        st.html(note("No models yet", "Add a file with `edgewatt models add FILE`."))
        return
    devices = fleet.get("devices", [])
    chosen = board(devices)
    advised = (
        api.read_slowly("recommended", device_type=chosen, limit=100, stored=True).get("models", []) if chosen else []
    )
    forecast = shelf.predictions(advised)
    spots = shelf.spots(models, forecast)
    if len(spots) > 1:
        st.html(heading("Accuracy against energy", f"predicted for {chosen}; bars: 95 % interval"))
        st.altair_chart(charts.cost(pd.DataFrame(spots)), width="stretch")
    if chosen and not forecast:
        why = "Nothing measured is like it, so there is no number rather than a guess."
        hint = "Measure on one device: edgewatt devices measure ID MODEL"
        st.html(note(f"No prediction for {chosen}", why, tone="odd", hint=hint))
    st.html(heading("Catalogue", f"predicted for {chosen}" if chosen else ""))
    st.html(shelf.catalogue(models, forecast, shelf.where(devices)))


main()
