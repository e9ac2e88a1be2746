"""Ingest workers share a fleet's telemetry: each sample once, also when one of them is killed."""

import asyncio
import sys
import time

import pytest

from broker.errors import LinkError
from broker.link import Connected
from broker.messages import Telemetry
from broker.paho import PahoLink
from broker.sharing import require_sharing
from broker.topics import TELEMETRY
from controller.cli.readiness import wait_until
from controller.storage.store import Store
from tests.conftest import NO_NATS
from tests.fleet.controllers import RunningController
from tests.fleet.forks import begun
from tests.fleet.test_link import Listener

SAMPLES, DEVICES = 400, 8


class RunningWorker:
    def __init__(self, name, broker_url, where, log):
        self._log = log
        words = [sys.executable, "-m", "controller.worker", "--name", name, "--broker", broker_url, *where]
        self.process = begun(words, log)

    @property
    def log(self):
        return self._log.read_text(errors="replace")

    def end(self, how):
        how()
        return self.process.wait(timeout=30)


def stored(store):
    [row] = store.query("SELECT count(*) AS n FROM telemetry")
    return row["n"]


async def say(link, first):
    """Publish the samples from number `first` on, all at once."""
    async with asyncio.TaskGroup() as group:
        for n in range(first, first + SAMPLES):
            sample = Telemetry(ts=time.time(), session="s1", seq=n)
            topic = TELEMETRY.topic(f"d{n % DEVICES}")
            group.create_task(link.publish(topic, TELEMETRY.encode(sample), qos=1))


async def test_each_sample_is_stored_once_and_what_a_killed_worker_left_comes_through_the_other(
    mosquitto, place, tmp_path
):
    database = ["--database", place.url] if hasattr(place, "url") else []
    where = ["--data", str(tmp_path), *database]
    store = Store(place)
    controller = RunningController(mosquitto.url, tmp_path, arguments=("--telemetry-workers", *database))
    workers = [RunningWorker(name, mosquitto.url, where, tmp_path / f"{name}.log") for name in ("a", "b")]
    try:
        assert wait_until(
            lambda: all("takes telemetry" in each.log for each in workers),
            within_s=40,
            alive=lambda: all(each.process.poll() is None for each in workers),
        ), workers[0].log
        async with PahoLink(mosquitto.url, "fleet") as link:
            await Listener(link).until(Connected)
            await say(link, 0)
            wait_until(lambda: stored(store) == SAMPLES, within_s=30)
            first = stored(store)
            workers[0].end(workers[0].process.kill)
            await say(link, SAMPLES)
        wait_until(lambda: stored(store) == 2 * SAMPLES, within_s=40)

        assert (first, stored(store)) == (SAMPLES, 2 * SAMPLES)
        assert "worker a is gone" in workers[1].log
        assert len(controller.get("/api/devices").json()["devices"]) == DEVICES
        assert workers[1].end(workers[1].process.terminate) == 0
    finally:
        for each in workers:
            each.process.kill()
            each.process.wait(timeout=20)
        controller.kill()
        store.close()


@pytest.mark.parametrize("kind", ["amqtt", pytest.param("nats", marks=NO_NATS)])
async def test_a_broker_that_shares_nothing_is_refused_in_words(kind, request, monkeypatch):
    monkeypatch.setattr("broker.sharing.WITHIN_S", 1.0)
    broker = request.getfixturevalue(kind)

    with pytest.raises(LinkError, match="does not share") as refused:
        await require_sharing(PahoLink(broker.url, "probe", lasting=False), broker.url)

    assert (refused.value.code, "telemetry-workers" in refused.value.hint) == ("not_shared", True)
