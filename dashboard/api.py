"""What the controller says, asked at most every few seconds however many people look."""

import json
import os
import threading
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import streamlit as st

from broker.errors import EdgeWattError, UnreachableError
from controller.client import Client, Document
from dashboard import views, visitor
from dashboard.visitor import Visitor

DEFAULT_URL = "http://127.0.0.1:5000"
FRESH_S = 2.0
"""How long an answer is shared between viewers."""
SLOW_S = 10.0
"""The same for answers about the whole fleet."""
SCANNED = 2_000
"""The most devices that the attention list looks through."""
MOST_ALERTS = 500
"""The most open alerts that the attention list looks through."""
CLIENTS = 200
"""The most visitors whose connections to the controller are kept."""
KEPT = 400
"""The most answers kept for the time when the controller does not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why there is no fresh answer, in the controller's own words."""

    code: str
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """An answer, or the last good one with the `problem` that kept a fresh one away; `at` is when it was given."""

    document: Document | None = None
    at: float | None = None
    problem: Problem | None = None

    @property
    def held_s(self) -> float:
        """How long ago it was given."""
        return 0.0 if self.at is None else max(0.0, time.time() - self.at)

    def get(self, field: str, default: Any = None) -> Any:
        """Return one field of the document, or `default` without a document."""
        return default if self.document is None else self.document.get(field, default)


def base_url() -> str:
    """Return where the controller is: `EDGEWATT_CONTROLLER_URL`, or this machine."""
    return os.environ.get("EDGEWATT_CONTROLLER_URL") or DEFAULT_URL


def client() -> Client:
    """Return the client of who looks, for writes too; sessions of the same visitor share one."""
    who = visitor.current()
    return _client(_whose(), base_url(), who)


def read(what: str, **arguments: Any) -> Reading:
    """Ask one reading method of the client; never raises."""
    return _fresh(_whose(), what, tuple(sorted(arguments.items())), client())


def read_slowly(what: str, **arguments: Any) -> Reading:
    """Ask as `read` does, with an answer that may be some seconds older."""
    return _slow(_whose(), what, tuple(sorted(arguments.items())), client())


def fleet(**sought: str) -> Reading:
    """Return up to 2,000 devices, those that are `sought`, in one document, `{total, devices}`."""
    return _fleet(_whose(), tuple(sorted(sought.items())), client())


def gate(model: str, device_ids: tuple[str, ...], budget_mj: float | None, policy: str) -> list[Reading]:
    """Ask the gate about each device, in their order; nothing is deployed."""
    return _gate(_whose(), model, device_ids, budget_mj=budget_mj, policy=policy, _client=client())


def plan(model: str, device_ids: tuple[str, ...], terms: dict[str, Any]) -> Reading:
    """Ask what a rollout to these devices would be; nothing is sent."""
    return _plan(_whose(), model, device_ids, json.dumps(terms, sort_keys=True), client())


def courses(device_ids: tuple[str, ...]) -> dict[str, Document]:
    """Return the small lines of devices by id, all in one question; none without an answer."""
    if not device_ids:
        return {}
    found: dict[str, Document] = read_slowly("courses", device_ids=device_ids).get("courses", {})
    return found


def open_alerts(counts: dict[str, int]) -> list[Document]:
    """Return the open alerts, worst first, whatever people said of them; `counts` of the status says how many."""
    some = sum(counts.get(view) or 0 for view in ("open", "acknowledged", "silenced"))
    if not some:
        return []
    reading = read("alerts", view="all", limit=min(some, MOST_ALERTS))
    return [each for each in views.aged(reading.get("alerts", []), reading.held_s) if each["open"]]


def forget_answers() -> None:
    """Ask anew next time: after a write."""
    for cached in (_fresh, _slow, _fleet, _gate, _plan):
        cached.clear()


def _whose() -> str:
    """Return what keeps the answers of one controller to one visitor apart from all others."""
    return f"{base_url()} {visitor.current().key}"


@st.cache_resource(show_spinner=False, max_entries=CLIENTS, on_release=Client.close)
def _client(whose: str, _url: str, _visitor: Visitor) -> Client:  # noqa: ARG001 - the cache tells clients apart by it
    return Client(
        _url,
        origin="dashboard",
        timeout=5.0,
        token=_visitor.token,
        headers=_visitor.headers,
        ca_file=os.environ.get("EDGEWATT_CONTROLLER_CA_FILE", ""),
    )


class _LastGood:
    """The newest good answers, bounded, shared by all sessions."""

    def __init__(self) -> None:
        self._answers: OrderedDict[tuple[Any, ...], tuple[float, Document]] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, key: tuple[Any, ...], document: Document) -> float:
        now = time.time()
        with self._lock:
            self._answers[key] = (now, document)
            self._answers.move_to_end(key)
            while len(self._answers) > KEPT:
                self._answers.popitem(last=False)
        return now

    def get(self, key: tuple[Any, ...]) -> tuple[float | None, Document | None]:
        with self._lock:
            return self._answers.get(key, (None, None))


@st.cache_resource(show_spinner=False)
def _last_good() -> _LastGood:
    return _LastGood()


def _ask(whose: str, what: str, arguments: tuple[tuple[str, Any], ...], client: Client) -> Reading:
    key = (whose, what, arguments)
    try:
        document: Document = getattr(client, what)(**dict(arguments))
    except UnreachableError as error:
        at, kept = _last_good().get(key)
        return Reading(document=kept, at=at, problem=_problem(error))
    except EdgeWattError as error:
        return Reading(problem=_problem(error))
    return Reading(document=document, at=_last_good().put(key, document))


@st.cache_data(ttl=FRESH_S, max_entries=KEPT, show_spinner=False)
def _fresh(whose: str, what: str, arguments: tuple[tuple[str, Any], ...], _client: Client) -> Reading:
    return _ask(whose, what, arguments, _client)


@st.cache_data(ttl=SLOW_S, max_entries=KEPT, show_spinner=False)
def _slow(whose: str, what: str, arguments: tuple[tuple[str, Any], ...], _client: Client) -> Reading:
    return _ask(whose, what, arguments, _client)


@st.cache_data(ttl=SLOW_S, max_entries=20, show_spinner=False)
def _fleet(whose: str, sought: tuple[tuple[str, str], ...], _client: Client) -> Reading:
    found: list[Document] = []
    reading = Reading()
    while len(found) < SCANNED:
        reading = _ask(whose, "devices", (("limit", 500), ("offset", len(found)), *sought), _client)
        page = reading.get("devices", [])
        found += page
        if not page or len(found) >= reading.get("total", 0):
            break
    if reading.document is None:
        return reading
    return Reading(document=reading.document | {"devices": found}, at=reading.at, problem=reading.problem)


@st.cache_data(ttl=SLOW_S, max_entries=100, show_spinner=False)
def _gate(
    whose: str,  # noqa: ARG001 - the cache tells answers apart by it
    model: str,
    device_ids: tuple[str, ...],
    *,
    budget_mj: float | None,
    policy: str,
    _client: Client,
) -> list[Reading]:
    def ask(device_id: str) -> Reading:
        try:
            answer = _client.deploy(device_id, model, max_energy_mj=budget_mj, policy=policy, dry_run=True)
        except EdgeWattError as error:
            verdict = error.facts.get("verdict")
            document = {"verdict": verdict} if verdict else None
            return Reading(document=document, problem=None if verdict else _problem(error))
        return Reading(document=answer, at=time.time())

    with ThreadPoolExecutor(max_workers=8) as pool:
        return list(pool.map(ask, device_ids))


@st.cache_data(ttl=SLOW_S, max_entries=20, show_spinner=False)
def _plan(
    whose: str,  # noqa: ARG001 - the cache tells answers apart by it
    model: str,
    device_ids: tuple[str, ...],
    terms: str,
    _client: Client,
) -> Reading:
    try:
        answer = _client.plan_rollout(model, device_ids=device_ids, only_fitting=True, **json.loads(terms))
    except EdgeWattError as error:
        return Reading(problem=_problem(error))
    return Reading(document=answer, at=time.time())


def _problem(error: EdgeWattError) -> Problem:
    return Problem(code=error.code, message=error.message, hint=error.hint)
