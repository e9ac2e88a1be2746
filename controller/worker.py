"""An ingest worker: takes a share of the fleet's telemetry into the controller's store, and nothing else.

`python -m controller.worker --name a` beside a controller that was started with `--telemetry-workers`. What it has not
committed stays in its session on the broker. When it dies, another worker takes that session over until it is empty.
"""

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from broker.errors import EdgeWattError, LinkError, StorageError, WireError
from broker.link import Connected, Disconnected, Event, Link, Packet
from broker.paho import PahoLink
from broker.topics import SHARED_TELEMETRY, TELEMETRY, checked_id, parse, talker
from controller.arrivals import Arrivals
from controller.carrier import carried, check_sharing
from controller.settings import Settings, load
from controller.storage.store import Store
from controller.telemetry.live import Live
from controller.telemetry.samples import Samples
from controller.worker_places import Places

logger = logging.getLogger("controller.worker")

BEAT_S = 2.0
RETRY_S = 1.0
QUIET_S = 2.0
"""A session that brings nothing for so long, and gets nothing new, is empty."""


@dataclass(slots=True)
class Taking:
    """Commits what comes over any link, then acknowledges it there."""

    store: Store
    approve_new: bool
    samples: Samples = field(init=False)

    def __post_init__(self) -> None:
        """Begin with nothing; only a share of each device's samples comes by, so its gaps cannot be counted."""
        self.samples = Samples(self.store, Live(), counts_gaps=False)

    async def take(self, link: Link, events: list[Event]) -> None:
        """Commit the packets among `events`, however long the store cannot, and acknowledge them."""
        packets = [event for event in events if isinstance(event, Packet)]
        while packets and not self._stored(packets):  # noqa: ASYNC110 - a full disk sends no event
            await asyncio.sleep(RETRY_S)
        await link.settle(*packets)

    def _stored(self, packets: list[Packet]) -> bool:
        refused: Counter[str] = Counter()
        try:
            with self.store.transaction():
                for packet in packets:
                    try:
                        self._hear(packet, time.time())
                    except WireError as error:
                        refused[error.code] += 1
                        logger.info("refused a message: topic=%s reason=%s", packet.topic[:120], error.message)
                refused["clock_off"] += self.samples.clock_off
                self.samples.flush()
                self.store.count(dict(+refused))
        except StorageError as error:
            self.samples.discard()
            logger.error("batch not stored, trying again: packets=%d reason=%s", len(packets), error.message)  # noqa: TRY400 - a sentence, not a trace
            return False
        return True

    def _hear(self, packet: Packet, at: float) -> None:
        talking = talker(packet.topic)
        device_id = None if talking is None else self.store.known(talking)
        if device_id is None:
            device_id, route = parse(packet.topic)
            if route is not TELEMETRY:
                return
            TELEMETRY.decode(packet.payload)
            if self.store.add_device(device_id, at, approved=self.approve_new):
                self.store.add_event(at, "device", f"{device_id} registered", who=device_id, device_id=device_id)
        self.samples.take(device_id, packet.payload, at)


@dataclass(slots=True)
class Worker:
    """One worker by its `name`, which is that of its session, too."""

    name: str
    settings: Settings
    store: Store
    taking: Taking = field(init=False)

    def __post_init__(self) -> None:
        """Take what comes into the store."""
        self.taking = Taking(self.store, approve_new=self.settings.registration == "open")

    async def run(self, stopping: asyncio.Event) -> None:
        """Take in telemetry until `stopping`, then leave nothing behind. Raises EdgeWattError."""
        await check_sharing(self.settings, _session(self.name))
        self._beat()
        async with carried(self.settings, _session(self.name)) as link:
            await link.subscribe(SHARED_TELEMETRY)
            works = [asyncio.create_task(self._listen(link)), asyncio.create_task(self._look_after())]
            stop = asyncio.create_task(stopping.wait())
            await asyncio.wait([*works, stop], return_when=asyncio.FIRST_COMPLETED)
            for task in (*works, stop):
                task.cancel()
            await asyncio.wait(works)
            for task in works:
                if not task.cancelled():
                    task.result()
        await self._finish(self.name)

    async def _listen(self, link: Link) -> None:
        arrivals = Arrivals(link.events())
        told = False
        try:
            while True:
                events = await arrivals.batch()
                if not told and any(isinstance(event, Connected) for event in events):
                    told = True
                    logger.info("worker %s takes telemetry", self.name)
                await self.taking.take(link, events)
        finally:
            arrivals.close()

    async def _look_after(self) -> None:
        """Say that we live, and finish what dead workers left."""
        while True:
            self._beat()
            dead = self._dead()
            if dead is not None:
                logger.warning("worker %s is gone; taking what waits for it", dead)
                await self._finish(dead)
            await asyncio.sleep(BEAT_S)

    async def _finish(self, name: str) -> None:
        """Take what waits in the session of `name` and end it; leave it as soon as its own worker is back."""
        with contextlib.suppress(LinkError, TimeoutError):
            async with carried(self.settings, _session(name)) as link:
                if not await self._emptied(link):
                    return
            ending = PahoLink(
                self.settings.broker, _session(name), credentials=self.settings.credentials, lasting=False
            )
            async with ending, asyncio.timeout(QUIET_S):
                await anext(ending.events())
            with self.store.transaction():
                Places(self.store).forget(name)

    async def _emptied(self, link: Link) -> bool:
        """Return True when nothing comes any more, False when the connection was lost: its owner may be back."""
        arrivals, joined = Arrivals(link.events()), False
        try:
            while True:
                events = await asyncio.wait_for(arrivals.batch(), QUIET_S if joined else None)
                if any(isinstance(event, Disconnected) for event in events):
                    return False
                if not joined:
                    await link.unsubscribe(SHARED_TELEMETRY)
                    joined = True
                await self.taking.take(link, events)
        except TimeoutError:
            return True
        finally:
            arrivals.close()

    def _beat(self) -> None:
        try:
            with self.store.transaction():
                Places(self.store).beat(self.name, time.time())
        except StorageError as error:
            logger.error("the store cannot be written: %s", error.message)  # noqa: TRY400 - a sentence, not a trace

    def _dead(self) -> str | None:
        try:
            with self.store.transaction():
                return Places(self.store).take_dead(time.time())
        except StorageError:
            return None


def _session(name: str) -> str:
    return f"edgewatt-worker-{name}"


async def _serve(settings: Settings, name: str) -> None:
    stopping, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    store = Store(settings.place)
    try:
        await Worker(checked_id(name), settings, store).run(stopping)
    finally:
        store.close()


def main() -> int:
    """Parse the arguments and run; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m controller.worker", description="takes in telemetry")
    parser.add_argument("--name", required=True, help="its own, and the same after a restart")
    parser.add_argument("--broker", help="as the controller's")
    parser.add_argument("--username", help="the broker's user")
    parser.add_argument("--password-file", help="a file that holds its password")
    parser.add_argument("--ca-file", help="the authority that vouches for the broker")
    parser.add_argument("--data", type=Path, help="the controller's folder, where the database is a file there")
    parser.add_argument("--database", help="postgresql://user@host/name, as the controller's")
    parser.add_argument("--database-password-file", help="a file that holds its password")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        given = vars(parser.parse_args())
        name = given.pop("name")
        asyncio.run(_serve(load(given), name))
    except EdgeWattError as error:
        print(f"{error.message}; {error.hint}" if error.hint else error.message, file=sys.stderr)  # noqa: T201 - for a person
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
