"""What a broker of several nodes has retained comes late: the controller asks again."""

import time

from broker.link import Packet
from broker.messages import Info
from broker.topics import INFO
from controller.late_retained import LateRetained
from tests.controlling import controller

NODES = "mqtt://127.0.0.1:1881,127.0.0.1:1882"


def test_each_connection_is_followed_by_asking_again_once_for_each_wait():
    late = LateRetained(after_s=(10.0, 30.0))
    late.connected(100.0)
    first = [late.is_due(at) for at in (105.0, 111.0, 112.0)]
    late.connected(120.0)

    assert first == [False, True, False]
    assert [late.is_due(at) for at in (129.0, 131.0, 149.0, 151.0, 999.0)] == [False, True, False, True, False]


def test_a_broker_of_one_node_is_not_asked_again():
    late = LateRetained()
    late.connected(100.0)

    assert not late.is_due(1e9)


async def test_a_device_that_the_first_answer_left_out_is_found(tmp_path):
    moved_s = 0.0
    async with controller(tmp_path, broker=NODES, clock=lambda: time.time() + moved_s) as running:
        hub = running.hub
        await running.until(lambda: is_greeted(hub))
        topic = INFO.topic("pi5-1")
        hub.retained[topic] = Packet(topic, INFO.encode(Info(device_type="raspberry_pi_5")), 1, retain=True)
        assert running.parts.service.store.device("pi5-1") is None
        moved_s = 11.0

        async def found():
            return running.parts.service.store.device("pi5-1") is not None

        await running.until(found)


async def is_greeted(hub):
    return "fleet/controller/status" in hub.retained
