"""A fleet as a controller finds it after a restart: its rows in the store, its retained messages at the broker."""

import random
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks._seeded_fleet import BOARDS, MODEL, SHA256, succeeded
from broker.commands import Ack, Command
from broker.messages import ActiveModel, BudgetState, Energy, Info, LastCommand, Latency, State, Status, Telemetry
from broker.phases import Phase
from broker.topics import ACK, CMD, INFO, STATE, STATUS
from controller.deployment import Deployment
from controller.program import CLIENT_ID
from controller.records import Deployments
from controller.storage.store import Store

SESSION = "first"
WAITING = 20_000
"""Messages that may wait for the broker to take them."""


def name_of(index: int) -> str:
    """Return the id of a device."""
    return f"edge-{index:06d}"


def tags_of(index: int, planned: int, driven: int) -> dict[str, str]:
    """Return the tags of a device: its site, and which rollouts mean it."""
    meant = {"plan": "yes"} if index < planned else {}
    return (
        meant
        | ({"drive": "yes"} if index < driven else {})
        | {"site": f"site-{index % 500}", "line": "ABCD"[index % 4]}
    )


def told(index: int, tags: dict[str, str]) -> tuple[Info, Status, State]:
    """Return what a device says of itself."""
    board = tuple(BOARDS)[index % len(BOARDS)]
    cost = BOARDS[board]
    info = Info(
        device_type=board,
        session=SESSION,
        board=f"{board} rev 1.{index % 3}",
        os="Debian 12",
        arch="aarch64",
        cpu_count=4,
        ram_mb=4_000.0,
        disk_free_mb=9_000.0,
        formats=("onnx",),
        ops=("deploy", "ping", "info", "start", "stop", "rollback", "bench", "config", "logs"),
        ip=f"10.{index >> 16 & 255}.{index >> 8 & 255}.{index & 255}",
        tags=tags,
        agent_version="0.1.0",
        simulated=True,
    )
    status = Status(online=True, session=SESSION, ts=time.time())
    active = ActiveModel(model=MODEL, artifact_sha256=SHA256, runtime="onnxruntime", gen=1, deployment_id=f"c-{index}")
    budget = BudgetState(energy_mj=cost * 1.4, latest_mj=cost, avg_mj=cost, source="simulated")
    last = LastCommand(id=f"c-{index}", op="deploy", state=Phase.SUCCEEDED, seq=9, gen=1)
    state = State(rev=3, session=SESSION, phase="running", gen=1, active=active, budget=budget, last_cmds=(last,))
    return info, status, state


def fill(path: Path, *, devices: int, planned: int, driven: int) -> None:
    """Write a new database: of each device its row, a deployment that ended well, and two events."""
    store, now, luck = Store(path), time.time(), random.Random(1)
    with store.transaction():
        for index in range(devices):
            device_id = name_of(index)
            info, status, state = told(index, tags_of(index, planned, driven))
            reading = _reading(index, now - luck.choice((2, 2, 2, 2, 2, 2, 90, 900)), luck)
            store.add_device(device_id, now - 86_400, approved=True)
            store.put_device(
                device_id,
                info=info,
                status=status,
                state=state,
                online=1,
                session=SESSION,
                status_at=now - 3_600,
                gen=1,
                desired={"gen": 1, "deploy": {"op": "deploy", "id": f"c-{index}", "gen": 1, "model": MODEL}},
            )
            store.readings.put({device_id: (reading, reading.ts or now)})
            Deployments(store).put(_deployment(device_id, index, now))
            for text in ("registered", "online"):
                store.add_event(now - 3_600, "device", f"{device_id} {text}", who=device_id, device_id=device_id)
    store.close()


def retain(port: int, *, devices: int, planned: int, driven: int) -> int:
    """Publish info, status and state of each device, retained, and return how many messages that were.

    It ends the session of the controller, in which each of them would wait for it a second time.
    """
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=CLIENT_ID, clean_session=True)
    client.max_inflight_messages_set(1_000)
    client.connect("127.0.0.1", port)
    client.loop_start()
    last: Any = None
    for index in range(devices):
        device_id, said = name_of(index), told(index, tags_of(index, planned, driven))
        for route, message in zip((INFO, STATUS, STATE), said, strict=True):
            last = client.publish(route.topic(device_id), route.encode(message), 1, retain=True)
        if index % WAITING == 0:
            last.wait_for_publish(120)
    last.wait_for_publish(300)
    client.disconnect()
    client.loop_stop()
    return 3 * devices


class Answering:
    """Plays all devices over one connection: each deployment that they are told ends well at once."""

    def __init__(self, port: int) -> None:
        """Listen to what all devices are told."""
        self.answered = 0
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="fleet-answers")
        self._client.max_inflight_messages_set(1_000)
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)
        self._client.subscribe(CMD.filter, 1)
        self._client.loop_start()

    def close(self) -> None:
        """Listen no more."""
        self._client.disconnect()
        self._client.loop_stop()

    def _on_message(self, _client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        told: Command = CMD.decode(message.payload)
        if told.op == "deploy" and told.id:
            result = {"energy_mj": 5.0, "energy_source": "simulated", "latency_p95_ms": 4.0, "inferences": 100}
            ack = Ack(id=told.id, op="deploy", state=Phase.SUCCEEDED, seq=9, gen=told.gen, result=result)
            self._client.publish(ACK.topic(message.topic.split("/")[1]), ACK.encode(ack), 1)
            self.answered += 1


def _reading(index: int, at: float, luck: random.Random) -> Telemetry:
    cost = BOARDS[tuple(BOARDS)[index % len(BOARDS)]] * luck.uniform(0.9, 1.1)
    return Telemetry(
        ts=at,
        session=SESSION,
        seq=1,
        cpu_usage_percent=21.0,
        ram_usage_mb=420.0,
        ram_usage_percent=38.0,
        temperature_c=luck.uniform(35.0, 70.0),
        storage_usage_mb=5_200.0,
        model=MODEL,
        latency_ms=Latency(p50=cost * 0.4, p95=cost * 0.5, max=cost),
        energy=Energy(source="simulated", energy_mj=cost, power_mw=cost * 40),
    )


def _deployment(device_id: str, index: int, now: float) -> Deployment:
    ended = succeeded(f"d-{index}", device_id, f"c-{index}", now - 7_200 - index / 100)
    return replace(ended, attempt=1, seq=9)
