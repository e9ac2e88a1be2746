"""An agent on a memory hub, with a real journal, store, runtime and artifact server, for tests to talk to."""

import asyncio
import json
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from broker.commands import Ack
from broker.memory import MemoryHub
from broker.messages import ControllerStatus, RuntimeInfo
from broker.phases import TERMINAL
from broker.topics import ACK, CMD, CONTROLLER_STATUS, DESIRED, STATE
from broker.wire import decode, encode
from edge_agent.compose import Parts, compose, identify, machine, will
from edge_agent.download import Downloader, Patience
from edge_agent.runtimes.onnx import OnnxRuntime
from edge_agent.settings import Settings
from tests.tiny_models import reference, tiny_model

DEVICE = "pi5-1"
QUICK = {"warmup": 1, "inferences": 5, "min_s": 0}
WITHIN_S = 10


def settings(folder, **changes):
    plain = {
        "id": DEVICE,
        "data": Path(folder),
        "device_type": "raspberry_pi_5",
        "simulate": True,
        "rate": 50.0,
        "interval_s": 0.1,
        "poll_s": 0.05,
        "no_controller_s": 5.0,
        "progress_s": 0.0,
    }
    return Settings(**{**plain, **changes})


def parts(told, **changes):
    plain = {
        "runtimes": (OnnxRuntime(),),
        "runtime_infos": (RuntimeInfo(name="onnxruntime", version="1", formats=("onnx",)),),
        "machine": machine(told, told.device_type),
        "downloader": Downloader(patience=Patience(timeout_s=2, first_wait_s=0.01, most_wait_s=0.05, give_up_s=2)),
        "clock_is_set": lambda: True,
    }
    return Parts(**{**plain, **changes})


class Bench:
    """The agent, its hub, and what it says."""

    def __init__(self, hub, agent, link):
        self.hub, self.agent, self.link = hub, agent, link

    def send(self, command):
        """Publish a command as a person does: a dict, a word or bytes."""
        payload = command if isinstance(command, bytes) else json.dumps(command).encode()
        self.hub.deliver(CMD.topic(DEVICE), payload, 1, retain=False)

    def desire(self, document):
        self.hub.deliver(DESIRED.topic(DEVICE), json.dumps(document).encode(), 1, retain=True)

    def controller(self, *, online):
        """Say what the retained presence of a controller says."""
        status = ControllerStatus(online=online, epoch="e1")
        self.hub.deliver(CONTROLLER_STATUS, encode(status), 1, retain=True)

    def acks(self, command_id=None):
        said = [decode(Ack, p.payload) for p in self.hub.published if p.topic == ACK.topic(DEVICE)]
        return [a for a in said if command_id in (None, a.id)]

    def states(self, command_id):
        """Return the phases said of a command, repetitions left out."""
        said = [a.state.value for a in self.acks(command_id)]
        return [s for i, s in enumerate(said) if i == 0 or s != said[i - 1]]

    @property
    def state(self):
        return STATE.decode(self.hub.retained[STATE.topic(DEVICE)].payload)

    def said(self, suffix):
        topic = f"device/{DEVICE}/{suffix}"
        return [json.loads(p.payload) for p in self.hub.published if p.topic == topic and p.payload]

    async def until(self, holds, what="it"):
        """Wait until `holds()` is true; each step gives the agent its turn."""
        end = time.monotonic() + WITHIN_S
        while not holds():
            assert time.monotonic() < end, f"{what} did not happen; acks: {self.acks()}"
            await asyncio.sleep(0.005)

    async def ack(self, command_id, *states):
        """Wait for an ack of `command_id` in one of `states` (any terminal one by default) and return it."""
        wanted = set(states) or {p.value for p in TERMINAL}
        await self.until(lambda: any(a.state.value in wanted for a in self.acks(command_id)), f"{command_id} {wanted}")
        found = [a for a in self.acks(command_id) if a.state.value in wanted][-1]
        if found.state in TERMINAL and found.attempt:
            await self.until(lambda: self._reported(command_id), f"a state with the end of {command_id}")
        return found

    def _reported(self, command_id):
        return any(c.id == command_id and c.state in TERMINAL for c in self.state.last_cmds)

    async def do(self, command):
        """Send `command` and return how it ended."""
        self.send(command)
        return await self.ack(command["id"])


@asynccontextmanager
async def running(folder, *, hub=None, part_changes=None, started=True, **changes):
    """Yield a Bench whose agent runs and is connected, and end it cleanly."""
    told = settings(folder, **changes)
    identity = identify(told)
    hub = hub or MemoryHub()
    link = hub.link(DEVICE, will=will(identity, told.interval_s))
    agent = compose(told, identity=identity, link=link, parts=parts(told, **(part_changes or {})))
    async with link:
        task = asyncio.create_task(agent.run())
        bench = Bench(hub, agent, link)
        try:
            if started:
                await bench.until(lambda: f"device/{DEVICE}/state" in hub.retained or task.done(), "a state")
            yield bench
        finally:
            agent.stop.set()
            await task


def deploy(server, data=None, command_id="d1", *, gen=1, form="onnx", **changes):
    """Return a complete deploy command of `data`, a file of the format `form`, which `server` serves."""
    content = tiny_model() if data is None else data
    ref = changes.pop("artifact", None) or replace(reference(content, server.base_url), format=form)
    server.files["/" + ref.url.split("/", 3)[3]] = content
    plain = {"id": command_id, "op": "deploy", "gen": gen, "model": "tiny", "probe": QUICK}
    return {**plain, "artifact": json.loads(encode(ref)), **changes}
