"""Draws which part of a long list is shown, kept in the address: all or what still moves, and the page."""

from typing import Any

import streamlit as st

from dashboard import api, inputs

SHOWN = {"all": "All", "open": "Still moving"}


def only_moving() -> bool:
    """Draw the choice between everything and what has not ended; return whether only that is wanted."""
    return inputs.one_of("Which", SHOWN, "all", key="show", named=SHOWN.__getitem__) == "open"


def taken(what: str, asked: dict[str, Any], rows: int) -> int:
    """Draw the button that takes all of a list that was `asked` for, and its pages; return the one chosen, from 1."""
    row = st.container(horizontal=True, vertical_alignment="center")
    others = {name: value for name, value in asked.items() if name != "open_only"}
    inputs.take_csv(row, what, open="true" if asked["open_only"] else "", **others)
    total = int(api.read(what, limit=rows, offset=0, **asked).get("total", 0))
    with row:
        return page_of(total, rows, "from")


def page_of(total: int, rows: int, key: str) -> int:
    """Draw the pages of `rows` each under `key`, where there are several; return the one chosen, from 1."""
    pages = -(-total // rows)
    return st.pagination(pages, key=key, bind="query-params") if pages > 1 else 1
