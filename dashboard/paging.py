"""Draws which part of a long list is shown, kept in the address: all or what still moves, and the page."""

import streamlit as st

SHOWN = {"all": "All", "open": "Still moving"}


def only_moving() -> bool:
    """Draw the choice between everything and what has not ended; return whether only that is wanted."""
    shown = st.segmented_control(
        "Which",
        list(SHOWN),
        default="all",
        required=True,
        key="show",
        bind="query-params",
        format_func=SHOWN.__getitem__,
        label_visibility="collapsed",
    )
    return shown == "open"


def page_of(total: int, rows: int, key: str) -> int:
    """Draw the pages of `rows` each under `key`, where there are several; return the one chosen, from 1."""
    pages = -(-total // rows)
    return st.pagination(pages, key=key, bind="query-params") if pages > 1 else 1
