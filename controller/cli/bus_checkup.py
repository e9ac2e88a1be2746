"""Whether the broker answers from here, is guarded, keeps what it should, and is still the right one for the fleet."""

import asyncio
import time
from collections.abc import Iterator

from broker.credentials import Credentials
from broker.errors import EdgeWattError
from broker.hosts import Hosts, hosts, is_loopback
from controller.cli import bus_probe
from controller.cli.broker_access import broker_credentials
from controller.cli.bus_probe import Heard
from controller.cli.finding import Finding, Verdict
from controller.settings import outgoing_ip

EMBEDDED = "amqtt"
MOST_EMBEDDED = 300
"""Devices on the embedded broker: it takes in an eighth of what Mosquitto does, and 250 kB for each of them."""

FITS_ALL = "our client ids (no spaces), keepalives and payloads fit it and every other MQTT 3.1.1 broker"
RENEW_DAYS = 30
DAY_S = 86_400.0


def bus(url: str, devices: int) -> Iterator[Finding]:
    """Yield how the broker at `url` is for a fleet of `devices`."""
    try:
        where, who = hosts(url), broker_credentials()
        heard = asyncio.run(bus_probe.ask(url, who))
    except EdgeWattError as error:
        hint = error.hint or "start one with `edgewatt up`, or name it with EDGEWATT_BROKER_URL"
        yield Finding(what="broker from here", verdict="fail", says=error.message, hint=hint)
        return
    yield Finding(what="broker from here", verdict="ok", says=f"answers at {url}")
    yield _encryption(where, who)
    yield _strangers(where)
    yield rights(heard, who.username, local=where.local)
    yield fitness(heard.version, devices)
    if heard.presence:
        yield Finding(what="retained", verdict="ok", says="the controller's presence is kept for who comes later")
    else:
        hint = "is a controller on this broker, and may we read fleet/#? see `edgewatt bus acl`"
        yield Finding(what="retained", verdict="warn", says="no presence of a controller is kept", hint=hint)
    yield durability(heard, time.time())


def fitness(version: str | None, devices: int) -> Finding:
    """Return whether a broker that says it is `version` is the right one for so many devices."""
    if version is not None and EMBEDDED in version and devices > MOST_EMBEDDED:
        said = f"{version} carries {devices:,} devices; it is made for up to {MOST_EMBEDDED}"
        hint = "move to Mosquitto or NATS: `edgewatt up --broker mosquitto`, and docs/how-to/scale.md"
        return Finding(what="broker's size", verdict="warn", says=said, hint=hint)
    name = version or "a broker that does not say what it is, as NATS does not"
    return Finding(what="broker's size", verdict="ok", says=f"{name}, for {devices:,} devices; {FITS_ALL}")


def rights(heard: Heard, username: str | None, *, local: bool) -> Finding:
    """Return whether the broker keeps users to their rights: what nobody may write was written and not heard."""
    what = "broker's rights"
    if not heard.unguarded:
        said = f"kept: {username or 'we'} may read the fleet, and what nobody may write did not pass"
        return Finding(what=what, verdict="ok", says=said)
    if local and username is None:
        return Finding(what=what, verdict="ok", says="none: whoever is on this machine may do everything")
    hint = "give the broker the rights that `edgewatt bus acl` prints; `edgewatt init` makes the whole configuration"
    return Finding(what=what, verdict="fail", says="not kept: a topic that nobody may write took ours", hint=hint)


def durability(heard: Heard, now: float) -> Finding:
    """Return what is known of how long the broker keeps retained documents."""
    what = "retained, over a restart"
    if not heard.kept:
        hint = "may this user write fleet/doctor/probe? `edgewatt bus acl`; and is the broker's persistence on?"
        return Finding(what=what, verdict="warn", says="the document that we left was not given back", hint=hint)
    if heard.uptime_s is not None and heard.kept_at is not None and heard.kept_at < now - heard.uptime_s:
        hours = heard.uptime_s / 3_600
        said = f"yes: a document from before the broker's start, {hours:,.1f} h ago, is still there"
        return Finding(what=what, verdict="ok", says=said)
    said = "kept for who comes later; a restart was not seen yet: one document stays for the next checkup to find"
    return Finding(what=what, verdict="ok", says=said)


def holds(until: float, now: float) -> Finding:
    """Return for how long a certificate that was believed still holds."""
    days = (until - now) / DAY_S
    verdict: Verdict = "ok" if days >= RENEW_DAYS else "warn"
    hint = (
        ""
        if verdict == "ok"
        else "`edgewatt init --renew` on its machine, then let broker and controller read it again"
    )
    said = f"TLS: authority and name are right, the certificate holds {days:,.0f} days"
    return Finding(what="broker's TLS", verdict=verdict, says=said, hint=hint)


def _encryption(where: Hosts, who: Credentials) -> Finding:
    host, port = where.nodes[0]
    if where.tls:
        try:
            return holds(bus_probe.certificate(host, port, who), time.time())
        except (OSError, ValueError) as error:
            said = f"the certificate could not be looked at: {error}"
            return Finding(what="broker's TLS", verdict="warn", says=said, hint="run the checkup again")
    if where.local:
        return Finding(what="broker's TLS", verdict="ok", says="none, on this machine only")
    hint = "`edgewatt init` makes what a broker needs for mqtts://; see docs/how-to/secure.md"
    said = f"passwords and commands go to {host} in the clear"
    return Finding(what="broker's TLS", verdict="fail", says=said, hint=hint)


def _strangers(where: Hosts) -> Finding:
    """Return whether somebody without a user gets in, from another machine, too, where that can be tried."""
    what, (host, port) = "strangers", where.nodes[0]
    others = () if not is_loopback(host) else tuple(ip for ip in (outgoing_ip(),) if not is_loopback(ip))
    found = bus_probe.open_to_all((*others, host), port, tls=where.tls)
    if found is None:
        return Finding(what=what, verdict="ok", says="nobody gets in without a user")
    if is_loopback(found):
        return Finding(what=what, verdict="ok", says="anybody gets in, on this machine only")
    hint = "`edgewatt init --data DIR`, then a broker with its mosquitto.conf, or `edgewatt up --data DIR --host …`"
    said = f"anybody who reaches {found}:{port} gets in without a user, and may command every device"
    return Finding(what=what, verdict="fail", says=said, hint=hint)
