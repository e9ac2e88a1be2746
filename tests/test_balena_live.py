"""The same questions to the real balena, read only: with EDGEWATT_BALENA_TOKEN and EDGEWATT_BALENA_FLEET set."""

import os
import time

import pytest

from controller.balena.account import account
from controller.balena.pinning import Pin
from controller.balena.token import VARIABLE, Token
from controller.settings import Settings
from controller.storage.store import Store

TOKEN, FLEET = os.environ.get(VARIABLE), os.environ.get("EDGEWATT_BALENA_FLEET")

pytestmark = pytest.mark.skipif(not (TOKEN and FLEET), reason="no token and fleet of balena in the environment")


async def test_the_real_balena_answers_every_question():
    store = Store(None)
    real = account(Settings(balena_fleet=FLEET or ""), store, time.time, Token(TOKEN or ""))

    slug, rows = await real.devices()
    known, releases = await real.releases(limit=5)

    assert slug == known["slug"]
    assert {row["where"] for row in rows} <= {"balena"}
    assert all(each["id"] for each in releases)
    for row in rows[:1]:
        assert len(await real.logs(row["uuid"], limit=3)) <= 3
    good = [each for each in releases if each["status"] == "success" and not each["invalidated"]]
    for each in good[:1]:
        plan = await real.pin(Pin(release_id=each["id"], app_slug=slug), "cli", dry_run=True)
        assert plan.name == slug
    store.close()
