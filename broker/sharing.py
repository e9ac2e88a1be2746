"""Whether a broker shares a subscription among its readers, found out by trying: some grant it and deliver nothing."""

import asyncio
import secrets

from broker.errors import LinkError
from broker.link import Connected, Packet
from broker.paho import PahoLink
from broker.topics import DESIRED

NOT_SHARED = "not_shared"
WITHIN_S = 5.0
_TOPIC = DESIRED.topic("edgewatt-probe")
"""A topic that the controller may write and read, of a device that there is not."""


async def require_sharing(link: PahoLink, where: str) -> None:
    """Return when the broker at `where`, to which `link` is a way of its own, shares subscriptions.

    Raises LinkError: `not_shared` when it does not, `broker_unreachable` when there is none.
    """
    nonce, connected = secrets.token_hex(8), False
    try:
        async with link, asyncio.timeout(WITHIN_S):
            async for event in link.events():
                if isinstance(event, Connected):
                    connected = True
                    await link.subscribe(f"$share/probe-{nonce}/{_TOPIC}")  # a group of its own: others try, too
                    await link.publish(_TOPIC, nonce.encode(), qos=1)
                elif isinstance(event, Packet) and event.payload == nonce.encode():
                    await link.settle(event)
                    return
    except (TimeoutError, LinkError):
        if not connected:
            raise LinkError(f"no broker answers at {where}", hint="is it running?") from None
    raise LinkError(
        f"the broker at {where} does not share subscriptions among workers",
        code=NOT_SHARED,
        hint="Mosquitto, EMQX, VerneMQ and HiveMQ do; elsewhere start the controller without --telemetry-workers",
    )
