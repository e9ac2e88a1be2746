"""The agent: hears, answers, works, and says how it is."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from broker.errors import LinkError, WireError
from broker.link import Connected, Disconnected, Link, Packet
from broker.messages import ControllerStatus, Status
from broker.topics import CMD, CONTROLLER_STATUS, DESIRED, STATUS, agent_filters, decode_controller_status
from broker.wire import decode
from edge_agent.desk import Desk
from edge_agent.duty import Duty
from edge_agent.fleetmate import Fleetmate
from edge_agent.governing import Governor
from edge_agent.history import History
from edge_agent.install import Installer
from edge_agent.lane import Lane
from edge_agent.loglines import LogLines
from edge_agent.outgoing import Outgoing
from edge_agent.policy import watch
from edge_agent.replay import replay
from edge_agent.reporting import Reporter
from edge_agent.serving import Server
from edge_agent.telemetry import Sampler

GOODBYE_S = 2.0
"""How long a clean stop waits for the last news to go out."""

log = logging.getLogger(__name__)


class _StopRequestedError(Exception):
    """Ends the group of tasks after a clean stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """Everything the agent touches is handed to it."""

    device_id: str
    link: Link
    desk: Desk
    installer: Installer
    lane: Lane
    server: Server
    outgoing: Outgoing
    reporter: Reporter
    sampler: Sampler
    history: History
    governor: Governor
    fleetmate: Fleetmate
    log_lines: LogLines
    stop: asyncio.Event
    restart: asyncio.Event
    started: asyncio.Event = field(default_factory=asyncio.Event)
    delay: Callable[[ControllerStatus], float]
    duty: Duty | None = None

    async def run(self) -> bool:
        """Work until `stop` is set or `duty` ends; return whether a new process should follow.

        A task that dies takes the agent down: its errors leave as an ExceptionGroup.
        """
        try:
            async with asyncio.TaskGroup() as group:
                self.lane.open(group)
                await replay(self.desk, self.installer, self.outgoing)
                group.create_task(self.outgoing.run())
                group.create_task(self._hear(group))
                group.create_task(self.sampler.run())
                group.create_task(self.history.run())
                group.create_task(self.governor.run())
                group.create_task(watch(self.installer.rules, self.outgoing.renew_info, every_s=self.installer.poll_s))
                if self.duty is not None:
                    group.create_task(self._tire(self.duty))
                self.started.set()
                await self.stop.wait()
                await self._leave()
        except* _StopRequestedError:
            log.info("stopped")
        finally:
            self.server.close()
            self.history.spool.flush()
        return self.restart.is_set()

    async def _leave(self) -> None:
        """End all work without losing it, say goodbye, and end the group."""
        self.lane.close()
        try:
            async with asyncio.timeout(GOODBYE_S), self.lane.turn:
                log.info("stopping")
        except TimeoutError:
            log.warning("stopping in the middle of a command")
        await self.outgoing.flush(GOODBYE_S)
        wake_at = self.duty.wake_at if self.duty else None
        reason = "shutdown" if wake_at is None else "sleep"
        await self.outgoing.goodbye(self.reporter.status(online=False, reason=reason, wake_at=wake_at))
        raise _StopRequestedError

    async def _tire(self, duty: Duty) -> None:
        await duty.end()
        log.info("going to sleep for %.0f s", duty.sleep_s)
        self.stop.set()

    async def _hear(self, group: asyncio.TaskGroup) -> None:
        said = ""
        async for event in self.link.events():
            if isinstance(event, Packet):
                self._packet(event, group)
                await self.link.settle(event)
            elif isinstance(event, Connected):
                said = ""
                await self._connected()
            elif isinstance(event, Disconnected):
                if event.reason != said:  # not at each attempt of a night
                    said = event.reason
                    log.warning("disconnected, trying again until it works: %s", said)
                self.fleetmate.lose()

    async def _connected(self) -> None:
        """Listen, and say everything retained again; the link keeps the filters over reconnects."""
        log.info("connected")
        try:
            await self.link.subscribe(*agent_filters(self.device_id))
        except LinkError as error:
            log.warning("cannot subscribe: %s", error.message)
        self.outgoing.announce()

    def _packet(self, packet: Packet, group: asyncio.TaskGroup) -> None:
        if packet.topic == CMD.topic(self.device_id):
            self.desk.receive(packet.payload, retained=packet.retain)
        elif packet.topic == DESIRED.topic(self.device_id):
            self.desk.desire(packet.payload)
        elif packet.topic == STATUS.topic(self.device_id):
            self._own_status(packet.payload)
        elif packet.topic == CONTROLLER_STATUS:
            self._controller(packet.payload, group)

    def _own_status(self, payload: bytes) -> None:
        """Say again that we are here when an old Will says that we are not."""
        try:
            heard = decode(Status, payload)
        except WireError:
            return
        if not heard.online and not self.stop.is_set():
            self.outgoing.renew_status()

    def _controller(self, payload: bytes, group: asyncio.TaskGroup) -> None:
        """Learn where artifacts are; to a new controller, say who we are, not all at once."""
        try:
            status = decode_controller_status(payload)
        except WireError:
            return
        if self.fleetmate.hear(status):
            group.create_task(self._introduce(self.delay(status)))

    async def _introduce(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        self.outgoing.renew_info()
