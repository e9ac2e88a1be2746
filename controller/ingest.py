"""The controller's edge to the bus: batches in, acknowledged after their commit; the outbox and the timers out."""

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from broker.errors import LinkError, StorageError
from broker.link import Connected, Disconnected, Event, Link, Packet
from broker.messages import ControllerStatus
from broker.phases import Phase
from broker.topics import CONTROLLER_STATUS, TELEMETRY, controller_filters
from broker.wire import encode
from controller.alerts.desk import AlertDesk
from controller.arrivals import Arrivals
from controller.deployment import Moved
from controller.hearing import Hearing
from controller.late_retained import LateRetained
from controller.passing import Passing
from controller.rivals import Rivals
from controller.service import Service
from controller.storage.fault import Fault
from controller.storage.settling import settle
from controller.storage.store import Row
from controller.storage.write_back import write_back
from controller.telemetry.retention import TURN_EVERY_S
from controller.telemetry.summing import sum_up

logger = logging.getLogger(__name__)

TICK_S = 1.0
WRITTEN_AT = "written_again_at"
"""What is written to see whether anything can be."""
RETRY_S = 1.0
AT_ONCE = 200
"""Messages on their way to the broker at one time: what paho keeps in flight."""


@dataclass(slots=True, kw_only=True)
class Ingest:
    """Everything that moves between the store and the broker."""

    link: Link
    hearing: Hearing
    passing: Passing
    alerts: AlertDesk
    epoch: str
    clock: Callable[[], float] = time.time
    late_retained: LateRetained = field(default_factory=LateRetained)
    connected_at: float | None = None
    last_loss: str | None = None
    losses: Counter[str] = field(default_factory=Counter)
    fault: Fault = field(default_factory=Fault)
    ticks: int = 0
    _rivals: Rivals = field(init=False)
    _greeting_due: bool = False
    _dropped: int = 0
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        """Begin to look out for other controllers."""
        self._rivals = Rivals(epoch=self.epoch)

    @property
    def service(self) -> Service:
        """The decisions that this edge carries out."""
        return self.hearing.service

    @property
    def _filters(self) -> tuple[str, ...]:
        """What we hear: telemetry too, unless workers take it."""
        left = {TELEMETRY.filter} if self.passing.leaves_telemetry else set()
        return tuple(each for each in controller_filters() if each not in left)

    def wake(self) -> None:
        """Look at the outbox now: something was put there."""
        self._wake.set()

    async def run(self) -> None:
        """Listen, publish and keep time until cancelled."""
        await self.link.subscribe(*self._filters)
        with self.service.store.transaction():
            self.service.outbox.wake_all(self.clock())
        store = self.service.store
        besides = [write_back(store.connection), settle(store, hold=not self.passing.leaves_telemetry)]
        if not self.passing.leaves_telemetry:
            besides.append(sum_up(self.passing.retention.rollups, self.clock, self.fault.note))
        async with asyncio.TaskGroup() as group:
            for work in (self._listen(), self._publish(), self._tick(), self._let_go(), *besides):
                group.create_task(work)

    async def say_goodbye(self) -> None:
        """Tell the fleet that the controller stops on purpose."""
        if self.link.connected:
            await self._say(online=False, reason="shutdown")

    async def _listen(self) -> None:
        arrivals = Arrivals(self.link.events())
        try:
            while True:
                await self._take(await arrivals.batch())
        finally:
            arrivals.close()

    async def _take(self, batch: list[Event]) -> None:
        for event in batch:
            match event:
                case Connected():
                    if self.last_loss is not None:
                        self._tell_link("the broker is connected again")
                    self.connected_at, self._greeting_due = self.clock(), True
                    self.late_retained.connected(self.connected_at)
                    self.wake()
                case Disconnected(reason=reason, code=code):
                    self.losses[code] += 1
                    if reason != self.last_loss:
                        logger.warning("no broker: reason=%s", reason)
                    if self.connected_at is not None:
                        self._tell_link(f"the connection to the broker is lost: {reason}")
                    self.connected_at, self.last_loss = None, reason
        packets = [event for event in batch if isinstance(event, Packet)]
        if not packets:
            return
        while not self._store(packets):  # noqa: ASYNC110 - a full disk sends no event
            await asyncio.sleep(RETRY_S)
        await self.link.settle(*packets)
        self.wake()

    def _tell_link(self, text: str) -> None:
        try:
            with self.service.store.transaction():
                self.service.store.add_event(self.clock(), "controller", text)
        except StorageError as error:
            self.fault.note(error)

    def _store(self, packets: list[Packet]) -> bool:
        """Commit a batch, or return False and leave everything as it was."""
        at = self.clock()
        try:
            with self.service.store.transaction():
                words = [packet for packet in packets if self.hearing.hear(packet, at)]
                for packet in words:
                    if packet.topic == CONTROLLER_STATUS:
                        self._greeting_due |= self._rivals.hear(packet, self.service.store, at)
                self.alerts.heard(self.hearing.flush(), words)
                self._count_overflow()
        except StorageError as error:
            self.hearing.discard()
            self.hearing.live.discard()
            self.fault.note(error, batch=True)
            logger.error("batch not stored, trying again: packets=%d reason=%s", len(packets), error.message)  # noqa: TRY400 - a sentence, not a trace
            return False
        self.fault.over()
        self.hearing.live.release()
        return True

    def _count_overflow(self) -> None:
        """Count what the carrier had no room for."""
        dropped = getattr(self.link, "dropped", 0)
        if dropped > self._dropped:
            self.service.store.count({"overflow": dropped - self._dropped})
            self._dropped = dropped

    async def _greet(self) -> None:
        """Say who we are and, again, what every device should be; what fails is due until it is done."""
        try:
            if self.passing.leaves_telemetry:
                await self.link.unsubscribe(TELEMETRY.filter)  # our session may have it from a life without workers
            await self._say(online=True)
            with self.service.store.transaction():
                self.service.outbox.wake_all(self.clock())
                self.passing.renewal.say_all(self.clock())
        except LinkError as error:
            logger.warning("presence not published: %s", error)
        else:
            self._greeting_due = False

    async def _say(self, *, online: bool, reason: str | None = None) -> None:
        status = ControllerStatus(
            online=online,
            epoch=self.epoch,
            ts=self.clock(),
            artifact_base_url=self.service.artifact_base_url,
            devices=self.service.store.count_devices(),
            reason=reason,
        )
        await self.link.publish(CONTROLLER_STATUS, encode(status), qos=1, retain=True)

    async def _publish(self) -> None:
        while True:
            self._wake.clear()
            try:
                if self.link.connected and self._greeting_due:
                    await self._greet()
                if self.link.connected:
                    await self._drain()
                    await self._ask_again()
            except StorageError as error:
                self.fault.note(error)
                logger.error("connected, but the database fails: %s", error.message)  # noqa: TRY400 - a sentence, not a trace
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    await self._wake.wait()

    async def _ask_again(self) -> None:
        """Hear once more what is retained, when it is time for it."""
        if self.late_retained.is_due(self.clock()):
            try:
                await self.link.subscribe(*self._filters)
            except LinkError as error:
                logger.warning("not subscribed again: %s", error)

    async def _drain(self) -> None:
        """Publish what is due, many at once, in its order for each device; what fails comes again."""
        while self.link.connected and (rows := self.service.outbox.due(self.clock(), limit=AT_ONCE)):
            if not self._note(self._offered, rows):
                return
            results = await asyncio.gather(*(self._send(row) for row in rows))
            gone = [row for row, taken in zip(rows, results, strict=True) if taken]
            if not self._note(self._taken, gone) or len(gone) < len(rows):
                return

    async def _send(self, row: Row) -> bool:
        """Return whether the broker took a row."""
        try:
            await self.link.publish(row["topic"], row["payload"], qos=1, retain=bool(row["retain"]))
        except LinkError as error:
            logger.warning("not published, trying again: topic=%s reason=%s", row["topic"], error)
            return False
        return True

    def _note(self, what: Callable[[list[Row], float], None], rows: list[Row]) -> bool:
        """Write in one transaction `what` became of `rows`, or return False."""
        try:
            with self.service.store.transaction():
                what(rows, self.clock())
        except StorageError as error:
            self.fault.note(error)
            logger.error("the outbox cannot be written, trying again: %s", error.message)  # noqa: TRY400 - a sentence, not a trace
            return False
        return True

    def _offered(self, rows: list[Row], at: float) -> None:
        """Note before they go that commands go: a device may have heard one although we were killed right after it."""
        for row in (row for row in rows if not row["retain"]):
            self.service.outbox.sent(row, at)
            deployment = self.service.deployments.on_device(row["device_id"], row["command_id"])
            if deployment is not None and deployment.phase is Phase.QUEUED:
                self.service.lifecycle.apply(deployment, Moved(phase=Phase.SENT), at)

    def _taken(self, rows: list[Row], at: float) -> None:
        """Note that the broker keeps the retained documents among `rows`."""
        for row in (row for row in rows if row["retain"]):
            self.service.outbox.sent(row, at)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self.ticks += 1
            try:
                self._pass_time()
                self._try_to_write()
                self.alerts.tick(self.clock(), self.fault.message)
            except StorageError as error:
                self.fault.note(error)

    async def _let_go(self) -> None:
        """Let old telemetry go between ticks, while there is any."""
        while True:
            await asyncio.sleep(TURN_EVERY_S)
            if self.passing.retention.is_due:
                try:
                    with self.service.store.transaction():
                        self.passing.retention.turn(self.clock())
                except StorageError as error:
                    self.fault.note(error)

    def _try_to_write(self) -> None:
        """See whether what could not be written can be by now: a tick may have had nothing to write."""
        if self.fault.may_be_over:
            with self.service.store.transaction():
                self.service.store.remember(WRITTEN_AT, self.clock())
            self.fault.over()

    def _pass_time(self) -> None:
        at = self.clock()
        with self.service.store.transaction():
            self.passing.tick(at)
        self.wake()
