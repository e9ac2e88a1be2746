"""The messages of the bus as they pass, decoded."""

import asyncio
import os
from typing import Any

from broker.errors import EdgeWattError
from broker.link import Connected, Packet
from broker.paho import PahoLink
from broker.topics import CONTROLLER_STATUS, decode_controller_status, parse
from controller.cli.broker_access import broker_credentials
from controller.cli.console import Console
from controller.cli.joining import joined


def tail(console: Console, url: str, topics: str, count: int) -> None:
    """Print what passes at `url` under the filter `topics`; `count` messages, or for ever when 0. Raises LinkError."""
    asyncio.run(_listen(console, url, topics, count))


async def _listen(console: Console, url: str, topics: str, count: int) -> None:
    heard = 0
    name = f"edgewatt-tail-{os.getpid()}"
    async with PahoLink(url, name, credentials=broker_credentials(), lasting=False) as link:
        events = link.events()
        await joined(events, url)
        await link.subscribe(topics)
        async for event in events:
            if isinstance(event, Packet):
                await link.settle(event)
                _print(console, event)
                heard += 1
                if heard == count:
                    return
            elif not isinstance(event, Connected):
                console.say(f"the broker is gone: {event.reason}; waiting for it")


def _print(console: Console, packet: Packet) -> None:
    raw = packet.payload.decode(errors="replace")
    error = ""
    try:
        if packet.topic == CONTROLLER_STATUS:
            decode_controller_status(packet.payload)
        elif packet.payload:
            _, route = parse(packet.topic)
            route.decode(packet.payload)
    except EdgeWattError as refused:
        error = refused.message
    found: dict[str, Any] = {"topic": packet.topic, "qos": packet.qos, "retain": packet.retain, "payload": raw}
    mark = f"  [outside the contract: {error}]" if error else ""
    console.line(found | ({"error": error} if error else {}), f"{packet.topic}  {raw}{mark}")
