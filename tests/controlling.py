"""A whole controller in this process, over a broker in memory, asked through its REST."""

import asyncio
import contextlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from broker.memory import MemoryHub
from controller.api.app import create
from controller.api.parts import Parts
from controller.program import compose
from controller.serving import Server, configured, listening
from controller.settings import Settings
from controller.storage.database import Place
from controller.storage.store import Store
from controller.workshop.process import WORKER
from tests.fleet.devices import FakeDevice
from tests.stocked import stocked, with_tables

WITHIN_S = 20
FAKE_WORKER = str(Path(__file__).with_name("fake_worker.py"))


@dataclass
class Kept:
    """Where the stores of controllers are, other than in their folders."""

    place: Place = None


KEPT = Kept()


@dataclass(repr=False)
class Running:
    """The controller's inside, its broker and its REST."""

    hub: MemoryHub
    parts: Parts
    http: Any

    async def get(self, path, **query):
        return (await self.http.get(path, params=query)).json()

    async def post(self, path, **body):
        async with asyncio.timeout(3 * WITHIN_S):
            return await self.http.post(path, json=body)

    async def deploy(self, **body):
        return await self.post("/api/deploy", **body)

    async def phase(self, deployment_id):
        return (await self.get(f"/api/deployments/{deployment_id}")).get("deployment", {}).get("phase")

    async def until(self, condition):
        """Wait until `condition()` (a coroutine function) is true; the controller's loop runs meanwhile."""
        async with asyncio.timeout(WITHIN_S):
            while not await condition():  # noqa: ASYNC110 - the story ends in the database, which sends no event
                await asyncio.sleep(0.02)

    async def until_phase(self, deployment_id, *phases):
        async def there():
            return await self.phase(deployment_id) in phases

        await self.until(there)

    def device(self, device_id="pi5-1", **more):
        return FakeDevice(self.hub.link(device_id), device_id, **more)

    @contextlib.asynccontextmanager
    async def joined(self, device_id="pi5-1", *, info=None, **more):
        """A device that has registered and is live in the controller's eyes."""
        async with self.device(device_id, **more) as device:
            await device.join(**(info or {}))
            await self.until(lambda: self.knows(device_id))
            yield device

    async def knows(self, device_id):
        row = self.parts.service.store.device(device_id)
        return row is not None and row["info"] is not None and row["online"] == 1


@contextlib.asynccontextmanager
async def controller(folder, *, hub=None, epoch="e1", worker="makes", listed=None, clock=time.time, **settings):
    """Run a controller with its data in `folder`; what it kept there before is still known.

    Models are made by the fake worker that does what `worker` says, by the real one for None.
    """
    hub = hub or MemoryHub()
    store = Store(KEPT.place or with_tables(folder / "controller.db"))
    link = hub.link("controller")
    token = settings.pop("balena_token", None)
    given = Settings(data=stocked(folder), soak_s=0, probe_inferences=5, **settings)
    argv = (FAKE_WORKER, worker) if worker else WORKER
    parts = compose(given, store, link, epoch, worker=argv, listed=listed, clock=clock, balena_token=token)
    http = httpx.AsyncClient(transport=httpx.ASGITransport(create(parts)), base_url="http://controller")
    async with link, http:
        running = [asyncio.create_task(work) for work in (parts.ingest.run(), parts.workshop.run())]
        try:
            yield Running(hub, parts, http)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            store.close()


@contextlib.asynccontextmanager
async def served(running, port):
    """The REST of a running controller behind a real socket; gives its address."""
    server = Server(configured(create(running.parts)))
    with listening("127.0.0.1", port) as door:
        serving = asyncio.create_task(server.serve([door]))
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.stop()
            await serving
