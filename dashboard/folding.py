"""Fields that fold into one button on a narrow screen; what they ask for stays in sight as chips."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import streamlit as st
from markupsafe import Markup

from dashboard import words
from dashboard.markup import join, link, tag


@contextmanager
def folded(page: str, asked: Mapping[str, str], names: Mapping[str, str]) -> Iterator[None]:
    """Draw fields within; `asked` is the page's address, `names` its fields that narrow, with words for people.

    The style sheet hides the button where there is room for the fields, and the fields where there is none.
    """
    opened = bool(st.session_state.get(f"unfolded-{page}"))
    given = {name: asked[name] for name in names if asked.get(name)}
    with st.container(key=f"narrow-{page}"):
        says = "Hide the filters" if opened else f"Filters ({len(given)})" if given else "Filters"
        st.button(says, key=f"fold-{page}", icon=":material/tune:", on_click=_turn, args=(page,), width="stretch")
        if given:
            st.html(chips(page, given, asked, names))
    with st.container(key=f"folds-{'open' if opened else 'shut'}-{page}"):
        yield


def chips(page: str, given: Mapping[str, str], asked: Mapping[str, str], names: Mapping[str, str]) -> Markup:
    """Return what is asked for as chips; each is a link to the same without it."""
    parts = [
        link(
            join([f"{names[name]}: {words.short(value, 30)} ", tag("b", "×")]),
            "" if page == "fleet" else page,
            of="ew-view on",
            title=f"No longer only {names[name]} {value}",
            **{**asked, name: ""},
        )
        for name, value in given.items()
    ]
    return tag("div", join(parts), of="ew-views")


def _turn(page: str) -> None:
    name = f"unfolded-{page}"
    st.session_state[name] = not st.session_state.get(name)
