"""Whether the broker answers from here, what it is, and whether it is still the right one for the fleet."""

import asyncio
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from broker.errors import EdgeWattError
from broker.link import Packet
from controller.cli.broker_access import broker_credentials
from controller.cli.finding import Finding
from controller.cli.joining import joined

WITHIN_S = 2.5
EMBEDDED = "amqtt"
MOST_EMBEDDED = 300
"""Devices on the embedded broker: it takes in an eighth of what Mosquitto does, and 250 kB for each of them."""

FITS_ALL = "our client ids (no spaces), keepalives and payloads fit it and every other MQTT 3.1.1 broker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a newcomer to a broker was given."""

    presence: bool = False
    version: str | None = None


def bus(url: str, devices: int) -> Iterator[Finding]:
    """Yield how the broker at `url` is for a fleet of `devices`."""
    try:
        heard = asyncio.run(_listen(url))
    except EdgeWattError as error:
        hint = "start one with `edgewatt up`, or name it with EDGEWATT_BROKER_URL"
        yield Finding(what="broker from here", verdict="fail", says=error.message, hint=hint)
        return
    yield Finding(what="broker from here", verdict="ok", says=f"answers at {url}")
    yield fitness(heard.version, devices)
    if heard.presence:
        yield Finding(what="retained", verdict="ok", says="the controller's presence is kept for who comes later")
    else:
        hint = "is a controller on this broker, and may we read fleet/#? see `edgewatt bus acl`"
        yield Finding(what="retained", verdict="warn", says="no presence of a controller is kept", hint=hint)


def fitness(version: str | None, devices: int) -> Finding:
    """Return whether a broker that says it is `version` is the right one for so many devices."""
    if version is not None and EMBEDDED in version and devices > MOST_EMBEDDED:
        said = f"{version} carries {devices:,} devices; it is made for up to {MOST_EMBEDDED}"
        hint = "move to Mosquitto or NATS: `edgewatt up --broker mosquitto`, and docs/how-to/scale.md"
        return Finding(what="broker's size", verdict="warn", says=said, hint=hint)
    name = version or "a broker that does not say what it is, as NATS does not"
    return Finding(what="broker's size", verdict="ok", says=f"{name}, for {devices:,} devices; {FITS_ALL}")


async def _listen(url: str) -> Heard:
    """Return what the broker at `url` gives a newcomer. Raises LinkError."""
    from broker.paho import PahoLink  # noqa: PLC0415 - imported on use
    from broker.topics import BROKER_VERSION, CONTROLLER_STATUS  # noqa: PLC0415

    heard: dict[str, Packet] = {}
    name = f"edgewatt-doctor-{secrets.token_hex(4)}"
    async with PahoLink(url, name, credentials=broker_credentials(), lasting=False) as link:
        events = link.events()
        await joined(events, url)
        await link.subscribe(CONTROLLER_STATUS, BROKER_VERSION)
        try:
            async with asyncio.timeout(WITHIN_S):
                async for event in events:
                    if isinstance(event, Packet):
                        heard[event.topic] = event
                    if len(heard) == 2:  # noqa: PLR2004 - all that was asked for
                        break
        except TimeoutError:
            pass
    version = heard.get(BROKER_VERSION)
    return Heard(
        presence=CONTROLLER_STATUS in heard and heard[CONTROLLER_STATUS].retain,
        version=None if version is None else version.payload.decode("utf-8", "replace")[:200],
    )
