"""Saved views of the fleet: names for filters, kept by the controller, chosen by a link."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st
from markupsafe import Markup

from dashboard import actions, api, visitor
from dashboard.actions import Action
from dashboard.markup import join, link, tag

Document = dict[str, Any]

FIELDS = ("q", "health", "tag", "type", "runs", "order")
"""What a view keeps of the address."""


def links(views: Sequence[Document], now: Mapping[str, str]) -> Markup:
    """Return the views as links; the one whose filter is in force is marked."""
    asked = {name: value for name, value in now.items() if name in FIELDS and value}
    shown = [
        link(each["name"], "", of="ew-view" + (" on" if each["query"] == asked else ""), **each["query"])
        for each in views
    ]
    return tag("div", join([tag("span", "Saved views"), *shown]), of="ew-views")


def edit(views: Sequence[Document], now: Mapping[str, str]) -> None:
    """Draw how a view is saved under a name, and how one is removed."""
    if not visitor.may():
        return
    asked = {name: value for name, value in now.items() if name in FIELDS and value}
    with st.popover("Views", icon=":material/bookmark:", help="Keep this filter under a name, for everybody."):
        name = st.text_input("Name of this view", key="view-name", max_chars=40, placeholder="line A, dearest first")
        if st.button("Save view", key="view-save", disabled=not (name or "").strip()):
            actions.tell(_write(f"Save the view {name}", "save_view", name.strip(), query=asked))
        gone = st.selectbox("Remove", [each["name"] for each in views], index=None, key="view-gone")
        if st.button("Remove view", key="view-remove", disabled=gone is None):
            actions.tell(_write(f"Remove the view {gone}", "remove_view", str(gone)))


def known() -> list[Document]:
    """Return the saved views that the controller keeps."""
    found: list[Document] = api.read("saved_views").get("views", [])
    return found


def _write(title: str, method: str, name: str, **arguments: Any) -> Action:
    return Action(title=title, deed=title, consequence="", method=method, targets=(name,), arguments=arguments)
