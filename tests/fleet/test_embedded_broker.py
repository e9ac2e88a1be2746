"""The embedded broker when a client comes back before its old connection has gone, or with messages unacknowledged."""

import asyncio
import socket
import subprocess
import sys
import time

import pytest

from broker.link import Connected, Packet
from broker.paho import PahoLink
from tests.fleet.brokers import RunningBroker

WITHIN_S = 20
AMQTT_WAITS_S = 5
"""How long amqtt lets a client wait for an answer, when it does not acknowledge."""

CONNECT = bytes([0x10, 13, 0, 4]) + b"MQTT" + bytes([4, 0, 0, 60, 0, 1]) + b"x"
DISCONNECT = bytes([0xE0, 0])
SUBSCRIBE = bytes([0x82, 8, 0, 1, 0, 3]) + b"a/b" + bytes([1])


@pytest.fixture
def embedded(tmp_path):
    running = RunningBroker("amqtt", tmp_path)
    yield running
    running.kill()


def half_open(broker):
    """Return a connection of client `x` that subscribed to a/b and says nothing more."""
    conversation = socket.create_connection(("127.0.0.1", broker.port), timeout=WITHIN_S)
    conversation.sendall(CONNECT)
    assert conversation.recv(4) == bytes([0x20, 2, 0, 0])
    conversation.sendall(SUBSCRIBE)
    assert conversation.recv(5)[0] == 0x90
    return conversation


async def until(link, kind):
    async with asyncio.timeout(WITHIN_S):
        async for event in link.events():
            if isinstance(event, kind):
                return event
    raise AssertionError("the events ended")


async def test_a_client_that_comes_back_before_its_old_connection_has_gone_is_heard_and_hears(embedded):
    with half_open(embedded):
        async with PahoLink(embedded.url, "x") as x, PahoLink(embedded.url, "other") as other:
            await until(x, Connected)
            await until(other, Connected)
            await x.subscribe("a/c")
            await other.publish("a/b", b"one", qos=1)
            await other.publish("a/c", b"two", qos=1)
            heard = [(await until(x, Packet)).payload, (await until(x, Packet)).payload]

    assert heard == [b"one", b"two"]


async def test_what_was_not_acknowledged_does_not_delay_what_a_client_says_next(embedded):
    with half_open(embedded) as leaving:
        leaving.sendall(DISCONNECT)
        assert leaving.recv(1) == b""
    async with PahoLink(embedded.url, "other") as other:
        await until(other, Connected)
        for number in range(3):
            await other.publish("a/b", str(number).encode(), qos=1)
    async with PahoLink(embedded.url, "x") as x:
        await until(x, Connected)
        began = time.monotonic()
        await x.subscribe("a/c")
        took_s = time.monotonic() - began

    assert took_s < AMQTT_WAITS_S / 2


@pytest.mark.parametrize("words", [("--host", "0.0.0.0"), ("--host", "::"), ("--users", "passwords")])
def test_it_listens_for_nobody_else_without_a_certificate_and_users(free_port, words):
    argv = [sys.executable, "-m", "broker.embedded", "--port", str(free_port), *words]

    ended = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)

    assert ended.returncode == 2
    assert "--cert-file, --key-file" in ended.stderr
    assert "edgewatt init" in ended.stderr
