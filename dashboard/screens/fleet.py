"""Fleet overview: what needs me now."""

import time

import streamlit as st

from dashboard import api, frame, paging, tables, views, words
from dashboard.markup import heading, note

PAGE_ROWS = 50
COURSES_UP_TO = 12  # rows beyond this carry no sparkline: each costs the controller a query


@st.fragment(run_every=frame.LIVE_S)
def summary(query: dict[str, str]) -> None:
    """Draw the headline, the counts and the devices that need a person; live."""
    now = time.time()
    status, fleet = api.read("status"), api.fleet()
    if not frame.answered(fleet, "fleet"):
        return
    ended = api.read_slowly("deployments", limit=200).get("deployments", [])
    cases = views.attention(fleet.get("devices", []), ended, now)
    total = int(fleet.get("total", 0))
    asleep = sum(each.get("health") == "asleep" for each in fleet.get("devices", []))
    says = views.headline(total, cases, asleep)
    frame.title(says.title, says.detail)
    if total == 0:
        st.html(note("Start a fleet", "Simulated devices, a broker and a controller, all on this machine:"))
        st.code("edgewatt demo", language="sh")
        st.html(note("Or bring a board", "On the board, with the address of your broker:"))
        st.code("edgewatt-agent run --id my-board --broker mqtt://BROKER:1883", language="sh")
        return
    st.html(tables.tiles(status.get("devices") or {"total": total}, query["health"], query))
    if cases:
        checked = len(fleet.get("devices", []))
        st.html(heading("Needs attention", "worst first" if checked == total else f"among the first {checked:,}"))
        st.html(tables.needs(cases))


@st.fragment(run_every=frame.LIVE_S)
def devices(query: dict[str, str], page: int) -> None:
    """Draw one page of the table; live and read-only."""
    reading = api.read("devices", limit=PAGE_ROWS, offset=(page - 1) * PAGE_ROWS, **query)
    if reading.document is None:
        return
    rows, total = reading.get("devices", []), int(reading.get("total", 0))
    if not rows:
        st.html(note("No device matches", "Loosen the filter above; the devices are still there."))
        return
    first = (page - 1) * PAGE_ROWS + 1
    st.html(heading("Devices", f"{first:,}–{first + len(rows) - 1:,} of {words.count(total, 'device')}"))
    ids = tuple(each["id"] for each in rows if each.get("health") in {"live", "late"})
    history = api.series(ids, 15, 30) if len(rows) <= COURSES_UP_TO else {}
    courses = {
        name: [(each.get("latency_p95_ms") or {}).get("mean") for each in past] for name, past in history.items()
    }
    st.html(tables.fleet(rows, courses))
    st.html(tables.legend())


def filters() -> tuple[dict[str, str], int]:
    """Draw search, health, tag and page, all kept in the address; return the query and the page."""
    known = views.known_tags(api.fleet().get("devices", []))
    search, health, tag = st.columns([3, 2, 2])
    q = search.text_input(
        "Search", key="q", bind="query-params", placeholder="Search id or board", label_visibility="collapsed"
    )
    chosen = health.selectbox(
        "Health",
        ["", *views.HEALTHS],
        key="health",
        bind="query-params",
        format_func=lambda each: words.HEALTH.get(each, "Any health"),
        label_visibility="collapsed",
    )
    label = tag.selectbox(
        "Tag",
        ["", *known],
        key="tag",
        bind="query-params",
        format_func=lambda each: each or "Any tag",
        label_visibility="collapsed",
    )
    return {"q": q or "", "health": chosen or "", "tag": label or ""}, _page({"q": q, "health": chosen, "tag": label})


def _page(query: dict[str, str | None]) -> int:
    found = api.read("devices", limit=PAGE_ROWS, offset=0, **{key: value or "" for key, value in query.items()})
    return paging.page_of(int(found.get("total", 0)), PAGE_ROWS, "page")


def _asked() -> dict[str, str]:
    return {name: st.query_params.get(name, "") for name in ("q", "health", "tag")}


summary(_asked())
if api.fleet().get("total", 0):
    given, number = filters()
    devices(given, number)
