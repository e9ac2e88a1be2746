"""A device that was away brings its history to a controller that is killed: a short queue of the broker loses none."""

import asyncio
import contextlib
import sqlite3
import time

from broker.messages import Telemetry
from broker.paho import PahoLink
from controller.cli.readiness import wait_until
from edge_agent.compose import compose, identify, will
from edge_agent.spool import Spool
from tests.agent_bench import DEVICE, parts, settings
from tests.conftest import NO_MOSQUITTO
from tests.fleet.agent_process import watching
from tests.fleet.brokers import MOSQUITTO, RunningBroker, free_port
from tests.fleet.controllers import RunningController

KEPT = 2_000
INTERVAL_S = 0.1

SHORT_QUEUE = """\
listener {port} 127.0.0.1
allow_anonymous true
max_inflight_messages 3
max_queued_messages 3
"""


def short_queued(folder):
    """A Mosquitto that keeps next to nothing for who is away, and acknowledges it all the same."""
    port, conf = free_port(), folder / "short.conf"
    conf.write_text(SHORT_QUEUE.format(port=port))
    return RunningBroker("mosquitto", folder, port, [MOSQUITTO, "-c", str(conf)])


def away(folder):
    """Leave what a device sampled while its broker was away, of a run before this one."""
    spool, began = Spool(folder / "spool"), time.time() - 5 * KEPT
    for seq in range(1, KEPT + 1):
        spool.add(Telemetry(ts=began + 5 * seq, session="b0-away", seq=seq, cpu_usage_percent=20.0, model="mobilenet"))
    spool.flush()
    return len(list(spool.folder.iterdir()))


@contextlib.asynccontextmanager
async def agent(broker_url, folder):
    """Run a real agent, without a runtime, in this process."""
    told = settings(folder, broker=broker_url, interval_s=INTERVAL_S)
    identity = identify(told)
    async with PahoLink(broker_url, DEVICE, will=will(identity, INTERVAL_S)) as link:
        made = compose(told, identity=identity, link=link, parts=parts(told, runtimes=(), runtime_infos=()))
        task = asyncio.create_task(made.run())
        try:
            yield made
        finally:
            made.stop.set()
            await task


def ask(controller, sql):
    database = f"file:{controller.folder / 'controller.db'}?mode=ro"
    with contextlib.closing(sqlite3.connect(database, uri=True, timeout=5)) as reading:
        return reading.execute(sql).fetchall()


def stored(controller):
    """Return how many samples of the history are committed, and how many different ones."""
    [counts] = ask(controller, "SELECT count(*), count(DISTINCT seq) FROM telemetry WHERE session = 'b0-away'")
    return counts


@NO_MOSQUITTO
async def test_kill_9_of_the_controller_in_the_middle_of_a_history_loses_nothing_that_the_broker_took(tmp_path):
    batches, broker = away(tmp_path / "agent"), short_queued(tmp_path)
    controller = RunningController(broker.url, tmp_path / "controller")
    try:
        async with watching(broker.url) as watcher, agent(broker.url, tmp_path / "agent") as device:
            await watcher.until(lambda: stored(controller)[0] > 0, "the first of the history")
            at_the_kill = len(watcher.heard)
            controller.kill()
            await watcher.until(lambda: not device.fleetmate.in_sight, "the controller's Will")
            heard = len(watcher.heard)
            await watcher.until(lambda: len(watcher.heard) > heard + batches, "live samples")
            before = stored(controller)[0]
            await asyncio.to_thread(controller.start)
            await watcher.until(lambda: not device.history.spool, "the end of the history")
        await asyncio.to_thread(wait_until, lambda: stored(controller)[1] == KEPT, within_s=10)
        assert controller.get(f"/api/devices/{DEVICE}/telemetry").status_code == 200

        assert 0 < before < KEPT
        assert stored(controller) == (KEPT, KEPT)
        missing = "SELECT max(seq) - min(seq) + 1 - count(DISTINCT seq) AS n FROM telemetry GROUP BY session"
        [(gaps, lost)] = ask(controller, f"SELECT gaps, (SELECT sum(n) FROM ({missing})) FROM devices")
        assert gaps == lost <= heard - at_the_kill + 1  # what was said before the Will, and what crossed it
    finally:
        controller.kill()
        broker.kill()
