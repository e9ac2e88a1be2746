"""A controller without a bus, and a fleet that says what a test tells it to, at the test's own time."""

import asyncio
import contextlib
import functools
import os
import shutil
import threading

import httpx
import uvicorn

from broker.commands import Ack
from broker.link import Packet
from broker.memory import MemoryHub
from broker.messages import ActiveModel, Energy, Info, Latency, RuntimeInfo, State, Status, Telemetry
from broker.topics import ACK, CMD, INFO, STATE, STATUS, TELEMETRY
from controller.api.app import create
from controller.program import compose
from controller.serving import Server, listening
from controller.settings import Settings
from controller.storage.database import EVERY
from controller.storage.store import Store
from tests.controlling import KEPT

MODEL = "digits_cnn_s"
NOON = 1_800_000_000.0
PI_5 = "raspberry_pi_5"


class RollingFleet:
    """Devices `d00`, `d01`, … in a store of its own; `at` is the time, which only the test moves."""

    def __init__(self, folder, artifacts=None, balena_token=None, **settings):
        if artifacts is not None:  # made once, because that takes longer than a test
            shutil.copytree(artifacts, folder / "artifacts", copy_function=os.link)
        self.folder, self.settings, self.at = folder, settings, NOON
        self.place = KEPT.place or folder / "controller.db"
        self.seq, self.balena_token = 0, balena_token
        self.sessions, self.ends = {}, {}
        self.open()

    def open(self):
        """Begin as a controller does that was just started."""
        self.store = Store(self.place)
        given = Settings(data=self.folder, soak_s=0, **self.settings)
        self.parts = compose(
            given, self.store, MemoryHub().link("controller"), "e1", listed={}, balena_token=self.balena_token
        )
        object.__setattr__(self.parts, "clock", lambda: self.at)
        self.__dict__.pop("app", None)
        self.rolling, self.service = self.parts.rolling, self.parts.service

    def reopen(self):
        """Be killed and started again."""
        self.store.close()
        self.open()

    def say(self, device_id, route, message):
        packet = Packet(topic=route.topic(device_id), payload=route.encode(message), retain=route.retain)
        with self.store.transaction():
            self.parts.ingest.hearing.hear(packet, self.at)
            self.parts.ingest.hearing.flush()

    def join(self, *device_ids, online=True, device_type=PI_5, **info):
        for device_id in device_ids:
            self.come_back(device_id)
            runtime = RuntimeInfo(name="onnxruntime", version="1.20", formats=("onnx",))
            known = {"device_type": device_type, "formats": ("onnx",), "runtimes": (runtime,)}
            self.say(device_id, INFO, Info(**(known | info)))
            if not online:
                self.leave(device_id)

    def joined(self, count, **more):
        names = [f"d{index:02d}" for index in range(count)]
        self.join(*names, **more)
        return names

    def leave(self, *device_ids, reason="lost", **more):
        for device_id in device_ids:
            self.say(
                device_id, STATUS, Status(online=False, session=f"s{self.sessions[device_id]}", reason=reason, **more)
            )

    def come_back(self, *device_ids):
        for device_id in device_ids:
            self.sessions[device_id] = self.sessions.get(device_id, 0) + 1
            self.say(device_id, STATUS, Status(online=True, session=f"s{self.sessions[device_id]}", ts=self.at))

    def tick(self, seconds=1.0, times=1):
        for _ in range(times):
            self.at += seconds
            with self.store.transaction():
                self.rolling.tick(self.at)

    def open_deployment(self, device_id):
        found = self.service.deployments.find(device_id=device_id, open_only=True, limit=1)
        return found[0] if found else None

    def under_way(self):
        return sorted(each.device_id for each in self.service.deployments.find(open_only=True, limit=EVERY))

    def ack(self, device_id, state, **more):
        self.seq += 1
        deployment = self.open_deployment(device_id)
        ack = Ack(id=deployment.command_id, op="deploy", state=state, seq=self.seq, ts=self.at, **more)
        self.say(device_id, ACK, ack)

    def succeed(self, *device_ids, energy_mj=5.0, source="pmic", p95_ms=10.0):
        for device_id in device_ids:
            deployment = self.open_deployment(device_id)
            result = {"energy_mj": energy_mj, "energy_source": source, "latency_p95_ms": p95_ms}
            active = ActiveModel(
                model=MODEL,
                artifact_sha256=deployment.artifact.sha256,
                runtime="onnxruntime",
                deployment_id=deployment.command_id,
            )
            self.ack(device_id, "succeeded", result=result)
            self.say(device_id, STATE, State(rev=1, session="s1", phase="running", active=active))

    def fail(self, *device_ids, step="probing"):
        for device_id in device_ids:
            self.ack(device_id, step)
            self.ack(device_id, "failed", reason="it broke")

    def sample(self, device_id, energy_mj=5.0, source="pmic", p95_ms=10.0, **more):
        self.seq += 1
        self.say(
            device_id,
            TELEMETRY,
            Telemetry(
                ts=self.at,
                session="s1",
                seq=self.seq,
                model=MODEL,
                energy=Energy(source=source, energy_mj=energy_mj),
                latency_ms=Latency(p50=1.0, p95=p95_ms, max=p95_ms),
                **more,
            ),
        )

    def orders(self, op):
        """Return (device, command) of every `op` that waits to be published."""
        rows = self.store.query("SELECT * FROM outbox WHERE topic LIKE '%/cmd' ORDER BY id")
        told = [(row["device_id"], CMD.decode(row["payload"])) for row in rows]
        return [(device_id, command) for device_id, command in told if command.op == op]

    def answer(self, device_id, command, state, **more):
        self.say(device_id, ACK, Ack(id=command.id, op=command.op, state=state, seq=9, ts=self.at, **more))

    def rollout(self, rollout_id):
        return self.rolling.known(rollout_id)

    def standings(self, rollout_id):
        """Return where each device stands; the rollout's own counts say the same."""
        _, rows = self.rolling.participants.page(rollout_id, limit=EVERY)
        rollout = self.rollout(rollout_id)
        counted = {}
        for row in rows:
            counted[row["standing"]] = counted.get(row["standing"], 0) + 1
        assert counted == {each: n for each in set(counted) if (n := rollout.count(frozenset({each})))}
        assert sum(counted.values()) == rollout.size
        return {row["device_id"]: str(row["standing"]) for row in rows}

    @contextlib.contextmanager
    def served(self):
        """REST behind a real socket, in a thread of its own in which time passes and devices end as `ends` says."""
        server = Server(uvicorn.Config(self.app, log_level="warning", lifespan="off"))

        async def serve(door):
            serving = asyncio.create_task(server.serve([door]))
            while not server.should_exit:
                await asyncio.sleep(0.05)
                self._pass_time()
            await serving

        with listening("127.0.0.1", 0) as door:
            self.url = f"http://127.0.0.1:{door.getsockname()[1]}"
            thread = threading.Thread(target=lambda: asyncio.run(serve(door)))
            thread.start()
            try:
                yield self
            finally:
                server.stop()
                thread.join()

    def _pass_time(self):
        self.tick()
        for device_id in self.under_way():
            end = self.ends.get(device_id, "succeeded")
            if end == "succeeded":
                self.succeed(device_id)
            elif end:
                self.fail(device_id)

    @functools.cached_property
    def app(self):
        return create(self.parts)

    @property
    def http(self):
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://controller")
