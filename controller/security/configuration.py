"""Writes the configuration of a Mosquitto that lets nobody in without TLS, a user and rights."""

from pathlib import Path

from controller.security.folder import PEOPLE_PORT, TLS_PORT, Security

TEXT = """\
# Made by `edgewatt init`. It is yours to change: it is never written over.

# Nobody without a name and a password, at either door. A device's name is its id.
per_listener_settings true

# The door of devices and of the controller. A session is the user's, whatever client id it claims: no device can end or
# read that of another. So each user has one connection at a time.
listener {port}{host}
use_username_as_clientid true
{common}password_file {passwords}

# The door of people, who may have several connections at a time; no device's password opens it.
listener {people_port}{host}
{common}password_file {people}

# Payloads of the contract are at most 64 KiB; models never travel over MQTT.
max_packet_size 70000
max_inflight_messages 2000
max_queued_messages 1000000
persistent_client_expiration 30d

# Retained documents (status, info, state, desired) survive a restart.
persistence true
persistence_location {broker_data}/
autosave_interval 10

# `kill -HUP` reads users, rights and certificates again, and ends the sessions of users that are gone.
pid_file {pid_file}
user {user}
log_dest stderr
"""

COMMON = """\
certfile {server}
keyfile {server_key}
tls_version tlsv1.2
allow_anonymous false
acl_file {acl}
"""


def configuration(
    security: Security, user: str, *, port: int = TLS_PORT, people_port: int = PEOPLE_PORT, host: str = ""
) -> str:
    """Return Mosquitto's configuration over the files of `security`; `host` is where it listens, everywhere if empty.

    Started by root the broker becomes `user`; started by another it stays that one.
    """
    return TEXT.format(
        port=port,
        people_port=people_port,
        host=f" {host}" if host else "",
        common=COMMON.format(server=security.server, server_key=security.server_key, acl=security.acl),
        passwords=security.passwords,
        people=security.people,
        broker_data=security.broker_data,
        pid_file=security.pid_file,
        user=user,
    )


def entered_by_all(folder: Path) -> Path | None:
    """Return the first folder above `folder` that other users cannot enter, None when there is none."""
    closed = [each for each in reversed(folder.resolve().parents) if not each.stat().st_mode & 0o001]
    return closed[0] if closed else None
