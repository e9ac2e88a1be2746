"""A broker of three nodes by its URL alone: a node dies in the middle of a rollout, and no command is lost."""

import json
import subprocess
import sys

import pytest

from broker.link import Connected, Packet
from broker.paho import PahoLink
from controller.cli.readiness import wait_until
from controller.records import Deployments
from controller.storage.store import Store
from controller.torture.book import REST, Given
from controller.torture.verdict import judge
from tests.conftest import NO_NATS
from tests.fleet.cluster import RunningCluster
from tests.fleet.controllers import RunningController
from tests.fleet.test_link import Listener, listening

pytestmark = NO_NATS
DEVICES = 30
MODEL = "digits_mlp"
WITHIN_S = 60


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    running = RunningCluster(tmp_path_factory.mktemp("nats"))
    yield running
    running.end()


class SimulatedFleet:
    """The devices, in a process of their own."""

    def __init__(self, broker_url, folder):
        self.folder = folder
        words = ("run", "--devices", DEVICES, "--broker", broker_url, "--data", folder, "--record", "--seed", 1)
        pace = ("--speed", 0, "--poll", 0.2, "--interval", 1)
        self._module = [sys.executable, "-m", "edge_agent.simulation"]
        self._process = subprocess.Popen([*self._module, *map(str, (*words, *pace))], stdout=subprocess.DEVNULL)

    def stop(self):
        self._process.terminate()
        self._process.wait(timeout=30)

    def audit(self):
        told = subprocess.run([*self._module, "audit", str(self.folder)], capture_output=True, text=True, check=True)
        return [json.loads(line) for line in told.stdout.splitlines()]


async def test_a_session_goes_on_at_another_node_with_what_waited_for_it(cluster):
    home, *others = [f"127.0.0.1:{port}" for port in cluster.ports]
    async with listening(PahoLink(home, "sleeper")) as sleeper:
        await sleeper.link.subscribe("device/x/cmd")
    async with listening(PahoLink(cluster.url, "a")) as a:
        for number in range(20):
            await a.link.publish("device/x/cmd", str(number).encode(), qos=1)
    async with PahoLink(",".join(others), "sleeper") as again:
        listener = Listener(again)
        connected = await listener.until(Connected)
        heard = [await listener.until(Packet) for _ in range(20)]

    assert connected.session_present
    assert sorted(int(packet.payload) for packet in heard) == list(range(20))


async def test_a_node_is_killed_in_the_middle_of_a_rollout_and_no_command_is_lost_or_done_twice(cluster, tmp_path):
    controller = RunningController(cluster.url, tmp_path / "controller", arguments=("--redelivery-s", "1"))
    fleet = SimulatedFleet(cluster.url, tmp_path / "agents")
    try:
        assert wait_until(lambda: len(live(controller)) == DEVICES, within_s=WITHIN_S)
        names = [each["id"] for each in live(controller)]
        wanted = {"model_name": MODEL, "device_ids": names, "waves": ["20%", "100%"], "at_once": 5}
        made = controller.post("/api/rollouts", **wanted)
        assert made.status_code == 202, made.text
        rollout = f"/api/rollouts/{made.json()['rollout_id']}"
        assert wait_until(lambda: 0 < ended(controller) < DEVICES, within_s=WITHIN_S)
        before = controller.get("/api/status").json()["broker"]["node"]

        cluster.kill(cluster.of(before))

        over = wait_until(lambda: controller.get(rollout).json()["rollout"]["phase"] == "succeeded", within_s=WITHIN_S)
        after = controller.get("/api/status").json()["broker"]["node"]
        assert over, controller.get(rollout).text[-2000:] + controller.log[-2000:]
    finally:
        fleet.stop()
        controller.stop()
        store = Store(tmp_path / "controller" / "controller.db")
        deployments, orders = Deployments(store).find(limit=-1), store.query("SELECT * FROM commands")
        store.close()
    given = [Given(id=d.command_id, device_id=d.device_id, op="deploy", way=REST, at=d.created_at) for d in deployments]
    verdict = judge(given, fleet.audit(), deployments, orders)

    assert (len(given), after is None or after == before) == (DEVICES, False)
    assert verdict.clean, verdict.faults
    assert {each["model"] for each in fleet.audit()} == {MODEL}


def live(controller):
    return controller.get("/api/devices", health="live", limit=DEVICES).json()["devices"]


def ended(controller):
    deployments = controller.get("/api/deployments", limit=100).json()["deployments"]
    return sum(each["phase"] == "succeeded" for each in deployments)
