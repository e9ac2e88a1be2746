"""Fleet overview: what needs me now."""

import time

import streamlit as st

from dashboard import (
    actions,
    api,
    attention,
    frame,
    inputs,
    need_lines,
    paging,
    shelf,
    shortcuts,
    tables,
    views,
    visitor,
    words,
)
from dashboard.folding import folded
from dashboard.markup import heading, note

PAGE_ROWS = 50
MOST_CASES = 100
FILTERS = {"q": "words", "health": "health", "tag": "tag", "type": "board", "runs": "model", "order": "order"}
ORDERS = {
    "by id": "id",
    "worst health first": "-health",
    "oldest reading first": "-reading_age_s",
    "dearest first": "-energy_mj",
    "cheapest first": "energy_mj",
    "slowest first": "-latency_p95_ms",
    "hottest first": "-temperature_c",
    "by board": "device_type",
    "by model": "model",
}


@st.fragment(run_every=frame.LIVE_S)
def summary(query: dict[str, str], need: str) -> None:
    """Draw the headline, the counts and what needs a person; live."""
    now = time.time()
    status, fleet = api.read("status"), api.fleet()
    if not frame.answered(fleet, "fleet"):
        return
    frame.redraw_if_changed("fleet", bool(fleet.get("total")))
    ended = api.read_slowly("deployments", limit=200).get("deployments", [])
    paused = api.read("rollouts", phase="paused", limit=20).get("rollouts", [])
    told, known = status.get("alerts") or {}, views.aged(fleet.get("devices", []), fleet.held_s)
    cases = attention.attention(known, ended, now, alerts=api.open_alerts(told), rollouts=paused)
    total = int(fleet.get("total", 0))
    says = attention.headline(total, cases, status.get("devices"))
    frame.title(says.title, says.detail)
    if total == 0:
        st.html(note("Start a fleet", "Simulated devices, a broker and a controller, all on this machine:"))
        st.code("edgewatt demo", language=None)
        st.html(note("Or bring a board", "On the board, with the address of your broker:"))
        st.code("edgewatt-agent run --id my-board --broker mqtt://BROKER:1883", language=None)
        return
    st.html(tables.tiles(status.get("devices") or {"total": total}, query["health"], query))
    if cases or any(told.get(view) for view in need_lines.QUIET):
        among = "" if len(fleet.get("devices", [])) == total else f" among {api.SCANNED:,}"
        needs(attention.asking(cases), query, need, among, told)


def needs(cases: list[attention.Case], query: dict[str, str], need: str, among: str, alerts: dict[str, int]) -> None:
    """Draw what needs a person: the reasons, and one line for each device of the chosen one, worst first."""
    now, known = time.time(), attention.kinds(cases)
    st.html(heading("Needs attention", f"worst first{among}"))
    if why := need_lines.reasons(known if len(known) > 1 or need else {}, need, query, alerts):
        st.html(why)
    shown = [case for case in cases if need in {"", case.needs[0].kind}]
    here, unfolded = {**query, "need": need}, st.query_params.get("more", "")
    if shown:
        most = MOST_CASES if need else need_lines.MOST
        st.html(need_lines.lines(shown, here, now, unfolded=unfolded, most=most))


@st.fragment(run_every=frame.LIVE_S)
def devices(query: dict[str, str], page: int) -> None:
    """Draw one page of the table; live and read-only."""
    reading = api.read("devices", limit=PAGE_ROWS, offset=(page - 1) * PAGE_ROWS, **query)
    if reading.document is None:
        return
    rows, total = views.aged(reading.get("devices", []), reading.held_s), int(reading.get("total", 0))
    if not rows:
        st.html(note("No device matches", "Loosen the filter above; the devices are still there."))
        return
    first = (page - 1) * PAGE_ROWS + 1
    st.html(heading("Devices", f"{first:,}–{first + len(rows) - 1:,} of {words.count(total, 'device')}"))
    ids = tuple(each["id"] for each in rows if each.get("health") in {"live", "late"})
    st.html(tables.fleet(rows, api.courses(ids)))
    st.html(tables.legend())


def filters() -> tuple[dict[str, str], int]:
    """Draw what can be asked of the table, all kept in the address; return the query and the page."""
    fleet = api.fleet().get("devices", [])
    with folded("fleet", _address(), FILTERS):
        search, health, board, tag, runs, order = st.columns([3, 2, 2, 2, 2, 2])
        asked = {
            "q": inputs.search(search, "q", "id, board, model"),
            "health": inputs.choice(health, "health", "Health", views.HEALTHS, words.HEALTH.__getitem__),
            "device_type": inputs.choice(board, "type", "Board", shelf.boards(fleet)),
            "tag": inputs.choice(tag, "tag", "Tag", views.known_tags(fleet)),
            "model": inputs.choice(runs, "runs", "Model", sorted(shelf.where(fleet))),
            "sort": inputs.order(order, "order", ORDERS),
        }
    row, known = st.container(horizontal=True, vertical_alignment="center"), shortcuts.known()
    if known:
        row.html(shortcuts.links(known, _address()), width="content")
    if visitor.may():
        with row:
            shortcuts.edit(known, _address())
    inputs.take_csv(row, "devices", **asked)
    found = api.read("devices", limit=PAGE_ROWS, offset=0, **asked)
    with row:
        return asked, paging.page_of(int(found.get("total", 0)), PAGE_ROWS, "page")


def _address() -> dict[str, str]:
    return {name: st.query_params.get(name, "") for name in FILTERS}


actions.report()
summary(_address(), st.query_params.get("need", ""))
frame.remember("fleet", bool(api.fleet().get("total")))
if api.fleet().get("total"):
    given, number = filters()
    devices(given, number)
