"""A device that says exactly what a test tells it to, over any link."""

import asyncio
import time

from broker.commands import Ack
from broker.link import Connected, Packet
from broker.messages import CurrentCommand, Info, RuntimeInfo, State, Status, Telemetry
from broker.topics import ACK, CMD, DESIRED, INFO, STATE, STATUS, TELEMETRY, agent_filters

WITHIN_S = 20


class FakeDevice:
    """Speaks the contract by hand; `async with` connects it."""

    def __init__(self, link, device_id="pi5-1", device_type="raspberry_pi_5", session="s1"):
        self.link = link
        self.id = device_id
        self.device_type = device_type
        self.session = session
        self.commands = asyncio.Queue()
        self.desired = asyncio.Queue()
        self._connected = asyncio.Event()

    async def __aenter__(self):
        await self.link.__aenter__()
        self._listening = asyncio.create_task(self._listen())
        async with asyncio.timeout(WITHIN_S):
            await self._connected.wait()
        await self.link.subscribe(*agent_filters(self.id))
        return self

    async def __aexit__(self, *error):
        self._listening.cancel()
        await self.link.__aexit__(*error)

    async def join(self, **info):
        """Register: online, and what it is."""
        await self.say(STATUS, Status(online=True, session=self.session, ts=time.time()))
        known = {"device_type": self.device_type, "formats": ("onnx",), "ip": "127.0.0.1"}
        runtime = RuntimeInfo(name="onnxruntime", version="1", formats=("onnx",))
        await self.say(INFO, Info(**(known | {"runtimes": (runtime,)} | info)))

    async def leave(self, reason="lost"):
        await self.say(STATUS, Status(online=False, session=self.session, reason=reason))

    async def say(self, route, message):
        await self.link.publish(route.topic(self.id), route.encode(message), qos=1, retain=route.retain)

    async def ack(self, command_id, state, seq, attempt=1, op="deploy", **more):
        await self.say(ACK, Ack(id=command_id, op=op, state=state, attempt=attempt, seq=seq, ts=time.time(), **more))

    async def report(self, **state):
        await self.say(STATE, State(rev=1, session=self.session, **state))

    async def waits_for_controller(self, command_id, model, budget_mj=None, attempt=1):
        """Say in the retained state that a request by name waits for somebody to complete it."""
        current = CurrentCommand(
            id=command_id,
            op="deploy",
            state="waiting",
            reason="controller",
            model=model,
            max_energy_mj=budget_mj,
            attempt=attempt,
            seq=2,
        )
        await self.report(current_cmd=current)

    async def sample(self, seq, **more):
        await self.say(TELEMETRY, Telemetry(ts=time.time(), session=self.session, seq=seq, **more))

    async def next_command(self, op):
        """Return the next command of this op, skipping others."""
        async with asyncio.timeout(WITHIN_S):
            while (command := await self.commands.get()).op != op:
                pass
            return command

    async def next_desired(self):
        async with asyncio.timeout(WITHIN_S):
            return await self.desired.get()

    async def _listen(self):
        async for event in self.link.events():
            if isinstance(event, Connected):
                self._connected.set()
            if not isinstance(event, Packet) or not event.payload:
                continue
            if event.topic == CMD.topic(self.id):
                self.commands.put_nowait(CMD.decode(event.payload))
            elif event.topic == DESIRED.topic(self.id):
                self.desired.put_nowait(DESIRED.decode(event.payload))
            await self.link.settle(event)
