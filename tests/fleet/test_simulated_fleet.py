"""Simulated devices are the real agent in one loop: over a real broker, without a thread each."""

import asyncio
import json
import threading
from contextlib import asynccontextmanager

from broker.commands import Ack
from broker.link import Packet
from broker.looped import LoopedLink
from broker.phases import TERMINAL
from broker.topics import ACK, CMD, INFO, STATE, TELEMETRY, parse
from broker.wire import encode
from edge_agent.simulation.audit import audit
from edge_agent.simulation.device import Run, device
from edge_agent.simulation.faults import Faults
from edge_agent.simulation.fleet import Fleet
from edge_agent.simulation.mix import DEFAULT, members, parts_in
from edge_agent.simulation.network import Weather
from edge_agent.simulation.span import Span
from tests.artifact_server import serving
from tests.tiny_models import reference, tiny_model

WITHIN_S = 20
PROBE = {"warmup": 1, "inferences": 20}


class Watcher:
    """Hears everything that devices say; `until` waits for it."""

    def __init__(self, link):
        self.link = link
        self.heard = []
        self._news = asyncio.Event()

    async def listen(self):
        await self.link.subscribe("device/#")
        async for event in self.link.events():
            if isinstance(event, Packet):
                device_id, route = parse(event.topic)
                self.heard.append((device_id, route, route.decode(event.payload)))
                self._news.set()
                await self.link.settle(event)

    def of(self, route, device_id=None):
        return [m for d, r, m in self.heard if r is route and device_id in (None, d)]

    async def until(self, holds):
        async with asyncio.timeout(WITHIN_S):
            while not holds():
                self._news.clear()
                await self._news.wait()

    async def send(self, device_id, **command):
        await self.link.publish(CMD.topic(device_id), json.dumps(command).encode(), qos=1)

    async def ended(self, device_id, command_id):
        def ends() -> list[Ack]:
            return [a for a in self.of(ACK, device_id) if a.id == command_id and a.state in TERMINAL]

        await self.until(ends)
        return ends()[-1]


@asynccontextmanager
async def fleet_of(mosquitto, folder, count, faults=None, **options):
    run = Run(
        broker=mosquitto.url, folder=folder, interval_s=0.5, poll_s=0.1, speed=0.0, recorded=True, seed=1, **options
    )
    faults = faults or Faults()
    fleet = Fleet(devices=[device(run, each, faults) for each in members(parts_in(DEFAULT), count, seed=1)])
    stop = asyncio.Event()
    async with LoopedLink(mosquitto.url, "watcher", seed=1) as link:
        watcher = Watcher(link)
        listening = asyncio.create_task(watcher.listen())
        living = asyncio.create_task(fleet.live(stop))
        try:
            yield fleet, watcher
        finally:
            stop.set()
            await living
            listening.cancel()


def deploy(server, command_id, content):
    ref = reference(content, server.base_url)
    server.files["/" + ref.url.split("/", 3)[3]] = content
    return {"id": command_id, "op": "deploy", "model": "tiny", "probe": PROBE, "artifact": json.loads(encode(ref))}


async def test_fifty_devices_live_in_one_loop_without_a_thread_each(mosquitto, tmp_path):
    threads = threading.active_count()
    async with fleet_of(mosquitto, tmp_path, 50) as (fleet, watcher):
        await watcher.until(lambda: len({d for d, r, _ in watcher.heard if r is TELEMETRY}) == 50)
        alive = [thread for thread in threading.enumerate() if thread.name.startswith(("serving", "paho"))]

        assert fleet.counts()["connected"] == 50
        assert alive == []
        assert threading.active_count() < threads + 10
        assert all(info.simulated for info in watcher.of(INFO))


async def test_a_simulated_device_deploys_proves_and_marks_every_figure(mosquitto, tmp_path):
    with serving() as server:
        async with fleet_of(mosquitto, tmp_path, 2) as (fleet, watcher):
            name = fleet.devices[0].member.id
            await watcher.until(lambda: watcher.of(TELEMETRY, name))
            await watcher.send(name, **deploy(server, "d1", tiny_model()))
            end = await watcher.ended(name, "d1")
            await watcher.until(lambda: any(s.energy and s.inferences for s in watcher.of(TELEMETRY, name)))
        said = {s.energy.source for s in watcher.of(TELEMETRY, name) if s.energy}
    [found, other] = audit(tmp_path)

    assert end.state == "succeeded"
    assert (end.result["energy_source"], end.result["inferences"]) == ("simulated", 20)
    assert said == {"simulated"}
    assert (found.commands, found.stuck, found.doubled, found.faulty) == ({"d1": "succeeded"}, (), (), None)
    assert other.faulty == "no model is active"


async def test_what_goes_wrong_with_a_device_ends_well_all_the_same(mosquitto, tmp_path):
    bad = Faults(
        cuts=(Span(at_s=0.6, for_s=0.5),),
        reboots=(1.5,),
        flash_full=(Span(at_s=2.0, for_s=0.5),),
        weather=Weather(duplicates=0.3, reorder=0.2),
    )
    with serving() as server:
        async with fleet_of(mosquitto, tmp_path, 3, bad) as (fleet, watcher):
            names = [each.member.id for each in fleet.devices]
            await watcher.until(lambda: all(watcher.of(STATE, name) for name in names))
            for name in names:
                await watcher.send(name, **deploy(server, "d1", tiny_model()))
            await watcher.until(lambda: all(each.deaths == 1 and each.connected for each in fleet.devices))
            for name in names:
                await watcher.send(name, **deploy(server, "d2", tiny_model(seed=2)))
                await watcher.ended(name, "d2")
    found = list(audit(tmp_path))

    assert [each.boots for each in found] == [2, 2, 2]
    assert [each.doubled + each.stuck for each in found] == [(), (), ()]
