"""Where a broker is: `mqtt://a:1883,b:1883` read in one place, and the order in which a client tries its hosts."""

import ipaddress
import random
from dataclasses import dataclass
from urllib.parse import urlsplit

from broker.errors import LinkError

DEFAULT_PORTS = {"mqtt": 1883, "mqtts": 8883}


LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in LOOPBACK


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosts:
    """The nodes of a broker, each (host, port), all of them with or without TLS."""

    nodes: tuple[tuple[str, int], ...]
    tls: bool

    @property
    def local(self) -> bool:
        """Whether all of them are on this machine."""
        return all(is_loopback(host) for host, _ in self.nodes)

    def in_order_for(self, client_id: str) -> tuple[tuple[str, int], ...]:
        """Return the nodes as `client_id` tries them.

        Each client has an order of its own, always the same: a fleet spreads over the nodes, and over those that are
        left when one dies.
        """
        order = list(self.nodes)
        random.Random(client_id).shuffle(order)  # noqa: S311 - spreads a fleet
        return tuple(order)


def hosts(url: str) -> Hosts:
    """Return where `mqtt://host:port`, `mqtts://…` or several hosts with commas between them are. Raises LinkError."""
    scheme, mark, rest = url.partition("://")
    if not mark:
        scheme, rest = "mqtt", url
    nodes = tuple(_node(url, scheme, each.strip()) for each in rest.rstrip("/").split(","))
    return Hosts(nodes=nodes, tls=scheme == "mqtts")


def address(url: str) -> tuple[str, int, bool]:
    """Return (host, port, tls) of the first host that `url` names; raises LinkError for what is no address."""
    found = hosts(url)
    return (*found.nodes[0], found.tls)


def _node(url: str, scheme: str, text: str) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if scheme not in DEFAULT_PORTS or not host or parts.path or parts.query or parts.fragment or parts.username:
        raise LinkError(
            f"'{url}' is no broker address",
            code="bad_url",
            hint="use mqtt://host:1883 or mqtts://host:8883; several hosts: mqtt://a:1883,b:1883,c:1883",
        )
    return host, port or DEFAULT_PORTS[scheme]
