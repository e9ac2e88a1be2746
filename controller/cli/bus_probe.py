"""Asks a broker, from here: what it gives a newcomer, whether it keeps and guards documents, and whom it lets in."""

import asyncio
import contextlib
import json
import secrets
import socket
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from broker.credentials import Credentials
from broker.errors import LinkError
from broker.link import Event, Packet
from broker.paho import PahoLink
from broker.topics import BROKER_VERSION, CONTROLLER_STATUS, PREFIX, PROBE, UPTIME
from controller.cli.joining import joined
from controller.cli.readiness import admits_anybody

WITHIN_S, GRACE_S = 2.5, 0.5
NOBODYS = f"{PREFIX}edgewatt-doctor/nothing"
"""A topic that people may read and nobody may write: who hears there what it wrote itself, has no rights to keep to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a newcomer was given, and what became of two documents that it left.

    `kept` says whether the retained one came back; `kept_at` is when an earlier checkup left the one that was there
    (Unix s). `unguarded`: what nobody may write was heard.
    """

    presence: bool = False
    version: str | None = None
    uptime_s: float | None = None
    kept: bool = False
    kept_at: float | None = None
    unguarded: bool = False


@dataclass(slots=True)
class _Ear:
    """The newest packet of each topic, and whether our own came."""

    nonce: str
    packets: dict[str, Packet] = field(default_factory=dict)
    earlier: Packet | None = None
    echoed: bool = False

    def hear(self, packet: Packet) -> None:
        if packet.topic != PROBE:
            self.packets[packet.topic] = packet
        elif self.nonce.encode() in packet.payload:
            self.echoed = True
        else:
            self.earlier = packet

    @property
    def complete(self) -> bool:
        return self.echoed and {CONTROLLER_STATUS, BROKER_VERSION} <= self.packets.keys()


async def ask(url: str, credentials: Credentials) -> Heard:
    """Return what the broker at `url` is to us. Raises LinkError."""
    ear = _Ear(secrets.token_hex(8))
    async with _session(url, credentials) as link:
        events = link.events()
        await joined(events, url)
        listening = asyncio.create_task(_listen(link, events, ear))  # at once: the embedded broker waits for our acks
        for topic in (CONTROLLER_STATUS, BROKER_VERSION, UPTIME, PROBE, NOBODYS):
            with contextlib.suppress(LinkError):  # a broker that refuses instead of filtering
                await link.subscribe(topic)
        await link.publish(NOBODYS, b"{}", qos=1)
        document = json.dumps({"nonce": ear.nonce, "ts": time.time()}).encode()
        await link.publish(PROBE, document, qos=1, retain=True)
        await listening
    return Heard(
        presence=CONTROLLER_STATUS in ear.packets and ear.packets[CONTROLLER_STATUS].retain,
        version=_text(ear.packets.get(BROKER_VERSION)),
        uptime_s=_seconds(ear.packets.get(UPTIME)),
        kept=ear.echoed and await _is_kept(url, credentials, ear.nonce),
        kept_at=_left_at(ear.earlier),
        unguarded=NOBODYS in ear.packets,
    )


def certificate(host: str, port: int, credentials: Credentials) -> float:
    """Return until when (Unix s) the certificate of `host`:`port` holds. Raises OSError, ValueError without one."""
    with (
        socket.create_connection((host, port), timeout=WITHIN_S) as plain,
        credentials.context().wrap_socket(plain, server_hostname=host) as spoken,
    ):
        until = (spoken.getpeercert() or {}).get("notAfter")
    return ssl.cert_time_to_seconds(str(until))


def open_to_all(hosts: tuple[str, ...], port: int, *, tls: bool) -> str | None:
    """Return the first of `hosts` where a client without a user gets in, None when none lets it."""
    return next((host for host in hosts if admits_anybody(port, host, tls=tls)), None)


def _session(url: str, credentials: Credentials) -> PahoLink:
    return PahoLink(url, f"edgewatt-doctor-{secrets.token_hex(4)}", credentials=credentials, lasting=False)


async def _listen(link: PahoLink, events: AsyncIterator[Event], ear: _Ear) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(WITHIN_S) as patience:
            async for event in events:
                if isinstance(event, Packet):
                    await link.settle(event)
                    ear.hear(event)
                if ear.complete:
                    return
                if ear.echoed:  # what is retained came before, or comes about now
                    patience.reschedule(min(patience.when() or 0.0, asyncio.get_running_loop().time() + GRACE_S))


async def _is_kept(url: str, credentials: Credentials, nonce: str) -> bool:
    """Return whether somebody who comes now is given what carries `nonce`."""
    async with _session(url, credentials) as link:
        events = link.events()
        await joined(events, url)
        await link.subscribe(PROBE)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WITHIN_S):
                async for event in events:
                    if isinstance(event, Packet):
                        await link.settle(event)
                        if nonce.encode() in event.payload:
                            return event.retain
    return False


def _text(packet: Packet | None) -> str | None:
    return None if packet is None else packet.payload.decode("utf-8", "replace")[:200]


def _seconds(packet: Packet | None) -> float | None:
    words = (_text(packet) or "").split()
    return float(words[0]) if words and words[0].isdecimal() else None


def _left_at(packet: Packet | None) -> float | None:
    try:
        return float(json.loads(packet.payload)["ts"]) if packet is not None and packet.retain else None
    except (ValueError, KeyError, TypeError):
        return None
