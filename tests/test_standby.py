"""Controllers that share a file or a server's database: one has its turn, the others say who it is."""

import httpx
import pytest

from controller.cli.readiness import wait_until
from controller.settings import Settings
from controller.standby import Turn, announce
from controller.storage.database import Server
from controller.storage.store import Store

ACTIVE = "http://10.0.0.1:5000"


@pytest.fixture
def turns(place, tmp_path):
    """Two controllers on one database of each kind."""
    database = place.url if isinstance(place, Server) else ""
    made = [Turn(Settings(data=tmp_path, database=database)) for _ in range(2)]
    yield made
    for each in made:
        each.close()


def begin(turn):
    """Let a controller act."""
    store = Store(turn.settings.place, turn.take())
    with store.transaction():
        announce(store, ACTIVE, "e1", 1.0)
    return store


async def asked(turn, path):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(turn), base_url="http://standby") as http:
        return await http.get(path)


def test_one_has_its_turn_until_its_connection_ends(turns):
    first, second = turns
    store = begin(first)
    assert second.take() is None
    store.close()

    assert wait_until(lambda: second.take() is not None, within_s=20)


async def test_one_that_stands_by_lives_and_names_the_active_one(turns):
    first, second = turns
    begin(first)
    second.take()
    live, ready, devices = [await asked(second, path) for path in ("/livez", "/readyz", "/api/devices")]

    assert live.status_code == 200
    assert ready.status_code == devices.status_code == 503
    assert ready.json()["code"] == "standby"
    assert ready.json()["controller"]["role"] == "standby"
    assert ready.json()["controller"]["active"]["url"] == ACTIVE
    assert ACTIVE in devices.json()["hint"]


async def test_one_that_came_too_early_to_know_who_is_active_says_so(turns):
    first, second = turns
    first.take()
    second.take()

    assert (await asked(second, "/readyz")).json()["controller"] == {"role": "standby", "active": None}


async def test_a_server_that_is_gone_is_what_stands_in_the_way(tmp_path):
    pytest.importorskip("psycopg")
    turn = Turn(Settings(data=tmp_path, database=f"postgresql://edgewatt@/none?host={tmp_path}"))
    assert turn.take() is None
    ready = (await asked(turn, "/readyz")).json()

    assert ready["code"] == "database_unreachable"
    assert "PostgreSQL" in ready["hint"]
