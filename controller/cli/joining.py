"""Waits for a command's own connection to the broker, and says why there is none and what to do."""

import asyncio
from collections.abc import AsyncIterator

from broker.errors import LinkError
from broker.hosts import hosts
from broker.link import Connected, Disconnected, Event

WITHIN_S = 10.0
START = "start a broker with `edgewatt up`, or name another with EDGEWATT_BROKER_URL"
SIGN_IN = "set broker_username and broker_password_file; `edgewatt config show` says what is set"
TRUST = "set broker_ca_file to the ca.pem of the broker's security folder"
RENEW = "on its machine: `edgewatt init` with what is missing, then `kill -HUP` the broker"
HINTS = {
    "not_let_in": SIGN_IN,
    "untrusted": TRUST,
    "closed_early": "write mqtts:// for a broker with TLS",
    "no_tls": "write mqtt:// for a port without TLS",
    "not_yet_valid": "synchronise the clocks (NTP)",
    **dict.fromkeys(("expired", "wrong_name"), RENEW),
}


async def joined(events: AsyncIterator[Event], url: str) -> None:
    """Return when a connection to `url` is there. Raises LinkError when none of its hosts lets us in."""
    lost, left = Disconnected(f"no broker answers at {url}"), len(hosts(url).nodes)
    try:
        async with asyncio.timeout(WITHIN_S):
            async for event in events:
                if isinstance(event, Connected):
                    return
                if isinstance(event, Disconnected):
                    lost, left = event, left - 1
                if not left:
                    break
    except TimeoutError:
        pass
    raise LinkError(lost.reason, code=lost.code, hint=HINTS.get(lost.code, START))
