"""A controller that leaves telemetry to workers knows from the store which devices are there."""

import time

from broker.messages import Telemetry
from broker.topics import TELEMETRY
from controller.telemetry.live import Live
from controller.telemetry.samples import Samples
from tests.controlling import controller


async def test_a_device_that_was_said_to_be_away_is_there_when_a_worker_has_stored_its_reading(tmp_path):
    async with controller(tmp_path, telemetry_workers=True) as running, running.joined() as device:
        await device.leave()

        async def health():
            return (await running.get("/api/devices/pi5-1"))["device"]["health"]

        async def is_away():
            return running.parts.service.store.device("pi5-1")["online"] == 0

        await running.until(is_away)
        store = running.parts.service.store
        with store.transaction():
            worker, later = Samples(store, Live(), counts_gaps=False), time.time() + 6
            worker.take("pi5-1", TELEMETRY.encode(Telemetry(ts=later, session="s1", seq=1)), later)
            worker.flush()

        async def is_there():
            return await health() == "live"

        await running.until(is_there)


async def test_telemetry_itself_is_not_heard(tmp_path):
    async with controller(tmp_path, telemetry_workers=True) as running, running.joined() as device:
        await device.sample(1)
        await device.report()

        async def has_state():
            return running.parts.service.store.device("pi5-1")["state"] is not None

        await running.until(has_state)
        assert running.parts.service.store.device("pi5-1")["reading"] is None
