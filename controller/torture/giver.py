"""Gives commands as people do: by REST, by hand over MQTT, twice, too late, and again when nobody answers."""

import asyncio
import json
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from broker.commands import hand_typed_id
from broker.errors import EdgeWattError, LinkError, WireError
from broker.link import Link, Packet
from broker.topics import ACK, CMD, parse
from controller.client import Client
from controller.torture.book import REST, TYPED, Book, Given
from controller.torture.plan import Deed, Kind

AGAIN_EVERY_S = 4.0
REMEMBERED = 200
FAR_BUDGET_MJ = 1e6
"""No model here costs as much: the budget makes the words of each command its own."""

AT_WORK = 4
OPEN_EACH = 2
"""Commands per device that may be on their way."""

PAUSE_S = 0.02


@dataclass(slots=True, kw_only=True)
class Giver:
    """Hands that do deeds; `devices` and `models` are what a deed's numbers mean."""

    link: Link
    client: Client
    devices: Sequence[str]
    models: Sequence[str]
    book: Book = field(default_factory=Book)
    refused: int = 0
    _passed: deque[tuple[str, bytes]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    async def give(self, deeds: asyncio.Queue[Deed]) -> None:
        """Do what comes, several at a time, as long as devices keep up."""
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_WORK):
                group.create_task(self._work(deeds))

    async def listen(self) -> None:
        """Hear what devices answer, and what passes to them, for ever."""
        await self.link.subscribe(ACK.filter, CMD.filter)
        async for event in self.link.events():
            if isinstance(event, Packet):
                self._hear(event)
                await self.link.settle(event)

    async def ask_again(self) -> None:
        """Type again what was typed and not answered, for ever: a broker that was killed forgets."""
        while True:
            await asyncio.sleep(AGAIN_EVERY_S)
            for each in self.book.unanswered():
                await self._publish(each.device_id, each.payload)

    async def _work(self, deeds: asyncio.Queue[Deed]) -> None:
        while True:
            while self.book.open(time.monotonic()) >= OPEN_EACH * len(self.devices):  # noqa: ASYNC110 - time passing is an end, too
                await asyncio.sleep(PAUSE_S)
            deed = await deeds.get()
            try:
                await self._do(deed)
            except EdgeWattError:
                self.refused += 1  # nobody took it, so it was not given
                await asyncio.sleep(PAUSE_S)

    async def _do(self, deed: Deed) -> None:
        device_id, model = self.devices[deed.device], self.models[deed.model]
        match deed.kind:
            case Kind.DEPLOY:
                done = await asyncio.to_thread(self.client.deploy, device_id, model)
                self._add(done["deployment_id"], device_id, "deploy", REST)
            case Kind.TYPE:
                budget_mj = FAR_BUDGET_MJ + deed.number
                await self._type(device_id, twice=deed.twice, op="deploy", model=model, max_energy_mj=budget_mj)
            case Kind.TYPE_WITH_ID:
                await self._type(device_id, twice=deed.twice, id=f"t-{deed.number}", op="deploy", model=model)
            case Kind.CANCEL:
                newest = self.book.newest(device_id, "deploy")
                if newest is not None and newest.way == REST:
                    await asyncio.to_thread(self.client.cancel, newest.id)
            case Kind.TYPE_CANCEL:
                newest = self.book.newest(device_id, "deploy")
                target = newest.id if newest else "nothing"
                await self._type(device_id, twice=deed.twice, id=f"c-{deed.number}", op="cancel", target=target)
            case Kind.ROLLBACK:
                done = await asyncio.to_thread(self.client.rollback, device_id)
                self._add(done["command_id"], device_id, "rollback", REST)
            case Kind.ORDER:
                done = await asyncio.to_thread(self.client.command, device_id, deed.order)
                self._add(done["command_id"], device_id, deed.order, REST)
            case Kind.REPLAY if self._passed:
                topic, payload = self._passed[deed.number % len(self._passed)]
                await self.link.publish(topic, payload, qos=1)
            case _:
                return

    async def _type(self, device_id: str, *, twice: bool, **command: Any) -> None:
        payload = json.dumps(command).encode()
        for _ in range(2 if twice else 1):
            await self.link.publish(CMD.topic(device_id), payload, qos=1)
        command_id = command.get("id") or hand_typed_id(payload)
        self._add(command_id, device_id, command["op"], TYPED, payload)

    async def _publish(self, device_id: str, payload: bytes) -> None:
        try:
            await self.link.publish(CMD.topic(device_id), payload, qos=1)
        except LinkError:
            return

    def _add(self, command_id: str, device_id: str, op: str, way: str, payload: bytes = b"") -> None:
        now = time.monotonic()
        self.book.add(Given(id=command_id, device_id=device_id, op=op, way=way, at=now, payload=payload))

    def _hear(self, packet: Packet) -> None:
        try:
            device_id, route = parse(packet.topic)
            if route is ACK:
                self.book.hear(device_id, ACK.decode(packet.payload))
            elif route is CMD:
                self._passed.append((packet.topic, packet.payload))
        except WireError:
            return
