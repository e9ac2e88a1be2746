"""Agents as processes on a real broker, and someone who watches what they say."""

import asyncio
import json
import signal
import time
from collections import defaultdict
from contextlib import asynccontextmanager
from pathlib import Path

from broker.commands import Ack
from broker.link import Packet
from broker.messages import State
from broker.paho import PahoLink
from broker.phases import TERMINAL
from broker.wire import decode
from tests.fleet.forks import FORKS
from tests.fleet.killing_agent import Death, live

ROOT = Path(__file__).resolve().parents[2]


class AgentProcess:
    """One agent in `folder`; `launch` begins a life of it, perhaps a short one."""

    def __init__(self, device_id, broker, folder):
        self.id, self.broker, self.folder = device_id, broker, Path(folder)
        self._process = None

    def launch(self, death=None, **more):
        """Begin a life that ends in `death`; `more` is what `killing_agent.work` takes."""
        self.folder.mkdir(parents=True, exist_ok=True)
        told = (self.id, self.broker, str(self.folder), death or Death(), more)
        self._process = FORKS.Process(target=live, args=told)
        self._process.start()

    @property
    def log(self):
        return (self.folder / "log").read_text(errors="replace")

    def kill(self):
        self._process.kill()
        self._process.join(20)

    async def died(self, within_s=30):
        """Wait until the agent has killed itself."""
        end = time.monotonic() + within_s
        while self._process.is_alive():
            assert time.monotonic() < end, f"{self.id} lives: {self.log[-2000:]}"
            await asyncio.sleep(0.02)
        assert self._process.exitcode == -signal.SIGKILL, self.log[-2000:]

    def stop(self):
        """End it cleanly; return its exit code."""
        if self._process is None:
            return 0
        if self._process.is_alive():
            self._process.terminate()
            self._process.join(20)
        return self._process.exitcode


class Watcher:
    """Hears everything the devices say, and speaks as a person does."""

    def __init__(self, link):
        self.link = link
        self.heard = []
        self._said = defaultdict(list)
        self._acks = defaultdict(list)
        self._news = asyncio.Event()

    async def listen(self):
        async for event in self.link.events():
            if isinstance(event, Packet):
                self._hear(event)
                await self.link.settle(event)
            self._news.set()

    def _hear(self, packet):
        self.heard.append(packet)
        if packet.payload:
            self._said[packet.topic].append(packet.payload)
        if packet.topic.endswith("/ack"):
            self._acks[packet.topic].append(decode(Ack, packet.payload))

    async def until(self, holds, what, within_s=30):
        end = time.monotonic() + within_s
        while not holds():
            self._news.clear()
            left = end - time.monotonic()
            assert left > 0, f"{what} did not happen"
            try:
                await asyncio.wait_for(self._news.wait(), min(left, 0.2))
            except TimeoutError:
                continue

    def acks(self, device_id):
        return self._acks[f"device/{device_id}/ack"]

    def state(self, device_id):
        said = self._said[f"device/{device_id}/state"]
        return decode(State, said[-1]) if said else None

    def online(self, device_id):
        said = self._said[f"device/{device_id}/status"]
        return bool(said) and json.loads(said[-1])["online"]

    def statuses(self, device_id):
        return [json.loads(payload) for payload in self._said[f"device/{device_id}/status"]]

    async def command(self, device_id, command):
        await self.link.publish(f"device/{device_id}/cmd", json.dumps(command).encode(), qos=1)

    async def ended(self, device_id, command_id, within_s=30):
        """Wait for the terminal ack of a command and return it."""

        def ends():
            return [a for a in self.acks(device_id) if a.id == command_id and a.state in TERMINAL and a.attempt]

        await self.until(ends, f"the end of {command_id} on {device_id}", within_s)
        return ends()[-1]


@asynccontextmanager
async def watching(broker):
    """Yield a connected Watcher."""
    async with PahoLink(broker, "watcher") as link:
        watcher = Watcher(link)
        task = asyncio.create_task(watcher.listen())
        try:
            await watcher.until(lambda: link.connected, "a connection")
            await link.subscribe("device/#")
            yield watcher
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
