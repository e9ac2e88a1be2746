"""Fields that more than one page asks with; what is given is kept in the address.

Each page has keys of its own: what was asked of one list is not asked of the next.
"""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import api


def energy_budget(place: DeltaGenerator, label: str, help: str) -> float | None:  # noqa: A002 - streamlit's word
    """Draw the budget in `place` and return it in mJ per inference, None for none."""
    return place.number_input(
        label,
        min_value=0.001,
        value=None,
        step=1.0,
        format="%.4g",
        key="energy_mj",
        bind="query-params",
        placeholder="no budget",
        help=help,
    )


def latency_budget(place: DeltaGenerator) -> float | None:
    """Draw the budget of the p95 in `place` and return it in ms, None for none."""
    return place.number_input(
        "p95 latency, ms",
        min_value=0.001,
        max_value=600_000.0,
        value=None,
        format="%.4g",
        key="latency_ms",
        bind="query-params",
        placeholder="no budget",
        help="The device measures it while it tries the model, and returns to the one before when it is above.",
    )


def search(place: DeltaGenerator, key: str, looks_in: str) -> str:
    """Draw a field for words; return them."""
    found = place.text_input(
        "Search", key=key, bind="query-params", placeholder=f"Search {looks_in}", label_visibility="collapsed"
    )
    return (found or "").strip()


def exactly(place: DeltaGenerator, key: str, says: str) -> str:
    """Draw a field for one name that has to be given whole; return it."""
    found = place.text_input(says, key=key, bind="query-params", placeholder=says, label_visibility="collapsed")
    return (found or "").strip()


def choice(
    place: DeltaGenerator,
    key: str,
    label: str,
    options: Iterable[str],
    says: Callable[[str], str] | None = None,
) -> str:
    """Draw a choice of one of `options`, or of any; return it, empty for any. An unknown one of the address is kept."""
    known = list(options)
    asked = st.query_params.get(key, "")
    extra = [asked] if asked and asked not in known else []
    return (
        place.selectbox(
            label,
            ["", *known, *extra],
            key=key,
            bind="query-params",
            format_func=lambda each: (says or str)(each) if each else f"Any {label.lower()}",
            label_visibility="collapsed",
        )
        or ""
    )


def one_of(
    label: str,
    choices: Iterable[str],
    first: str,
    *,
    key: str,
    place: DeltaGenerator | None = None,
    named: Callable[[str], str] = str,
) -> str:
    """Draw `choices` side by side, of which always one is chosen and at the beginning `first`; return that."""
    chosen: str = (st if place is None else place).segmented_control(
        label,
        list(choices),
        default=first,
        required=True,
        key=key,
        bind="query-params",
        format_func=named,
        label_visibility="collapsed",
    )
    return chosen


def order(place: DeltaGenerator, key: str, orders: Mapping[str, str]) -> str:
    """Draw in which order the rows come; return the controller's word for it. The address keeps the words shown."""
    chosen = place.selectbox(
        "Sort by", list(orders), key=key, bind="query-params", label_visibility="collapsed", help="Sort by"
    )
    return orders[chosen]


def take_csv(place: DeltaGenerator, what: str, name: str = "", **sought: Any) -> None:
    """Draw the button that takes all rows that are asked for, not only those shown, as a file."""
    client = api.client()  # the file is made after the page, where nobody is known to look

    def fetch() -> bytes:
        with client.export(what, **{key: value for key, value in sought.items() if value}) as chunks:
            return b"".join(chunks)

    _button(place, name or what, fetch)


def take_rows(place: DeltaGenerator, name: str, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Draw the button that takes rows that are all here, as a file."""
    _button(place, name, lambda: _file(columns, rows))


def take_events(place: DeltaGenerator, name: str = "events", **sought: Any) -> None:
    """Draw the button that takes all events that are asked for as a file."""
    client = api.client()

    def fetch() -> bytes:
        with client.export_logs("csv", **sought) as chunks:
            return b"".join(chunks)

    _button(place, name, fetch)


def _file(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, extrasaction="ignore")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _inert(row.get(name)) for name in columns})
    return out.getvalue().encode()


def _inert(value: Any) -> Any:
    """Return a text that a spreadsheet does not run as a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def _button(place: DeltaGenerator, name: str, fetch: Callable[[], bytes]) -> None:
    place.download_button(
        "Take as CSV",
        fetch,
        file_name=f"edgewatt-{name}.csv",
        mime="text/csv",
        key=f"csv-{name}",
        on_click="ignore",
        icon=":material/download:",
        help="All rows that the filter selects, not only this page.",
    )
