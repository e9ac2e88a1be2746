"""A controller that is killed while a fleet talks: what it had acknowledged is stored, what it had not comes again."""

import contextlib
import sqlite3
import time

from broker.link import Connected
from broker.messages import Telemetry
from broker.paho import PahoLink
from broker.topics import TELEMETRY
from controller.cli.readiness import wait_until
from tests.fleet.controllers import RunningController
from tests.fleet.test_link import Listener

HALF = 400
"""Mosquitto as it is installed keeps a thousand messages for a session."""


def stored(controller):
    """Return how many samples are committed, and how many different ones."""
    database = f"file:{controller.folder / 'controller.db'}?mode=ro"
    with contextlib.closing(sqlite3.connect(database, uri=True, timeout=5)) as reading:
        [counts] = reading.execute("SELECT count(*), count(DISTINCT seq) FROM telemetry")
    return counts


async def say(link, numbers):
    for seq in numbers:
        sample = Telemetry(ts=time.time(), session="s1", seq=seq)
        await link.publish(TELEMETRY.topic("pi5-1"), TELEMETRY.encode(sample), qos=1)


async def test_kill_9_in_the_middle_of_ingest_loses_nothing_that_the_broker_took(mosquitto, tmp_path):
    controller = RunningController(mosquitto.url, tmp_path)
    try:
        async with PahoLink(mosquitto.url, "pi5-1") as device:
            await Listener(device).until(Connected)
            await say(device, range(HALF))
            assert wait_until(lambda: stored(controller)[0] > 0, within_s=20)
            controller.kill()
            await say(device, range(HALF, 2 * HALF))
        before = stored(controller)[0]
        controller.start()
        wait_until(lambda: stored(controller)[0] == 2 * HALF, within_s=30)

        assert "carrier: mqttium" in controller.log
        assert before < 2 * HALF
        assert stored(controller) == (2 * HALF, 2 * HALF)
    finally:
        controller.kill()
