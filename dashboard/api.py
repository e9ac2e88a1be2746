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
from dashboard.credentials import service_token

DEFAULT_URL = "http://127.0.0.1:5000"
FRESH_S = 2.0
"""How long an answer is shared between viewers."""
SLOW_S = 10.0
"""The same for answers about the whole fleet."""
SCANNED = 2_000
"""The most devices that the attention list looks through."""
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

    def get(self, field: str, default: Any = None) -> Any:
        """Return one field of the document, or `default` without a document."""
        return default if self.document is None else self.document.get(field, default)


def base_url() -> str:
    """Return where the controller is: `EDGEWATT_CONTROLLER_URL`, or this machine."""
    return os.environ.get("EDGEWATT_CONTROLLER_URL") or DEFAULT_URL


def client() -> Client:
    """Return the one client of this process, for writes too."""
    return _client(base_url())


def read(what: str, **arguments: Any) -> Reading:
    """Ask one reading method of the client; never raises."""
    return _fresh(base_url(), what, tuple(sorted(arguments.items())))


def read_slowly(what: str, **arguments: Any) -> Reading:
    """Ask as `read` does, with an answer that may be some seconds older."""
    return _slow(base_url(), what, tuple(sorted(arguments.items())))


def fleet() -> Reading:
    """Return up to 2,000 devices in one document, `{total, devices}`."""
    return _fleet(base_url())


def gate(model: str, device_ids: tuple[str, ...], budget_mj: float | None, policy: str) -> list[Reading]:
    """Ask the gate about each device, in their order; nothing is deployed."""
    return _gate(base_url(), model, device_ids, budget_mj, policy)


def plan(model: str, device_ids: tuple[str, ...], terms: dict[str, Any]) -> Reading:
    """Ask what a rollout to these devices would be; nothing is sent."""
    return _plan(base_url(), model, device_ids, json.dumps(terms, sort_keys=True))


def courses(device_ids: tuple[str, ...]) -> dict[str, Document]:
    """Return the small lines of devices by id, all in one question; none without an answer."""
    if not device_ids:
        return {}
    found: dict[str, Document] = read_slowly("courses", device_ids=device_ids).get("courses", {})
    return found


def forget_answers() -> None:
    """Ask anew next time: after a write."""
    for cached in (_fresh, _slow, _fleet, _gate, _plan):
        cached.clear()


@st.cache_resource(show_spinner=False)
def _client(url: str) -> Client:
    return Client(url, origin="dashboard", timeout=5.0, token=service_token())


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


def _ask(url: str, what: str, arguments: tuple[tuple[str, Any], ...]) -> Reading:
    key = (url, what, arguments)
    try:
        document: Document = getattr(_client(url), what)(**dict(arguments))
    except UnreachableError as error:
        at, kept = _last_good().get(key)
        return Reading(document=kept, at=at, problem=_problem(error))
    except EdgeWattError as error:
        return Reading(problem=_problem(error))
    return Reading(document=document, at=_last_good().put(key, document))


@st.cache_data(ttl=FRESH_S, max_entries=KEPT, show_spinner=False)
def _fresh(url: str, what: str, arguments: tuple[tuple[str, Any], ...]) -> Reading:
    return _ask(url, what, arguments)


@st.cache_data(ttl=SLOW_S, max_entries=KEPT, show_spinner=False)
def _slow(url: str, what: str, arguments: tuple[tuple[str, Any], ...]) -> Reading:
    return _ask(url, what, arguments)


@st.cache_data(ttl=SLOW_S, max_entries=4, show_spinner=False)
def _fleet(url: str) -> Reading:
    found: list[Document] = []
    reading = Reading()
    while len(found) < SCANNED:
        reading = _ask(url, "devices", (("limit", 500), ("offset", len(found))))
        page = reading.get("devices", [])
        found += page
        if not page or len(found) >= reading.get("total", 0):
            break
    if reading.document is None:
        return reading
    return Reading(document=reading.document | {"devices": found}, at=reading.at, problem=reading.problem)


@st.cache_data(ttl=SLOW_S, max_entries=100, show_spinner=False)
def _gate(url: str, model: str, device_ids: tuple[str, ...], budget_mj: float | None, policy: str) -> list[Reading]:
    def ask(device_id: str) -> Reading:
        try:
            answer = _client(url).deploy(device_id, model, max_energy_mj=budget_mj, policy=policy, dry_run=True)
        except EdgeWattError as error:
            verdict = error.facts.get("verdict")
            document = {"verdict": verdict} if verdict else None
            return Reading(document=document, problem=None if verdict else _problem(error))
        return Reading(document=answer, at=time.time())

    with ThreadPoolExecutor(max_workers=8) as pool:
        return list(pool.map(ask, device_ids))


@st.cache_data(ttl=SLOW_S, max_entries=20, show_spinner=False)
def _plan(url: str, model: str, device_ids: tuple[str, ...], terms: str) -> Reading:
    try:
        answer = _client(url).plan_rollout(model, device_ids=device_ids, only_fitting=True, **json.loads(terms))
    except EdgeWattError as error:
        return Reading(problem=_problem(error))
    return Reading(document=answer, at=time.time())


def _problem(error: EdgeWattError) -> Problem:
    return Problem(code=error.code, message=error.message, hint=error.hint)
