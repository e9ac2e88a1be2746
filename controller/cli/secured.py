"""A local EdgeWatt with keys and users: its broker, and how its programs and devices sign in."""

import os
import pwd
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from broker.errors import InvalidError
from broker.hosts import is_loopback
from broker.passwords import changing, hashed, new_password
from controller.cli.processes import Program, python
from controller.security.configuration import configuration
from controller.security.folder import FOLDER, Security, usual_broker_user


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where the broker listens: for devices, and for people."""

    devices: int
    people: int


CA_OF_CONTROLLER = "EDGEWATT_CONTROLLER_CA_FILE"


def security_of(data: Path, host: str, broker: str) -> Security | None:
    """Return the keys in `data`, None where there are none and only this machine reaches `host`.

    Raises InvalidError when others would reach it without, or when `broker` knows no users.
    """
    security = Security.of(data)
    if not security.made:
        if is_loopback(host):
            return None
        hint = f"`edgewatt init --data {data}` makes keys and users; or leave --host out"
        raise InvalidError(f"nobody else may reach {host} while there are no keys and users", code="usage", hint=hint)
    if broker == "nats":
        hint = "take --broker mosquitto or amqtt; a NATS with TLS and users of your own is named by its URL"
        raise InvalidError("the NATS of this machine knows no users", code="usage", hint=hint)
    return security


def mosquitto_program(security: Security, program: str, host: str, ports: Ports) -> Program:
    """Return `program`, a Mosquitto with the keys, users and rights of `security`."""
    folder = security.broker_data
    folder.mkdir(parents=True, exist_ok=True)
    user = _broker_user(security)
    folder.chmod(FOLDER)
    if os.geteuid() == 0:
        shutil.chown(folder, user)
    conf = security.root.parent / "logs" / "mosquitto.conf"
    conf.parent.mkdir(parents=True, exist_ok=True)
    conf.write_text(configuration(security, user, port=ports.devices, people_port=ports.people, host=host))
    return Program(name="broker", argv=(program, "-c", str(conf)), vital=True)


def embedded_program(security: Security, host: str, ports: Ports) -> Program:
    """Return the embedded broker with the same."""
    security.broker_data.mkdir(parents=True, exist_ok=True)
    files = ("--cert-file", security.server, "--key-file", security.server_key, "--users", security.passwords)
    people = [word for name in security.operators for word in ("--operator", name)]
    where = ("--host", host, "--port", ports.devices, "--people-port", ports.people)
    words = (*where, *files, "--pid-file", security.pid_file, *people)
    return python("broker", "-m", "broker.embedded", *map(str, words), vital=True)


def let_in(security: Security, data: Path, devices: Iterable[str]) -> None:
    """Give each of our own devices a password, before the broker begins."""
    with changing(security.passwords) as users:
        for device in devices:
            password, file = new_password(), _password_file(data, device)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch(mode=0o600)
            file.write_text(password)
            users[device] = hashed(password)


def device_environment(security: Security, data: Path, device: str) -> dict[str, str]:
    """Return with what a device of ours signs in."""
    return {
        "EDGEWATT_USERNAME": device,
        "EDGEWATT_PASSWORD_FILE": str(_password_file(data, device)),
        "EDGEWATT_CA_FILE": str(security.ca),
        "EDGEWATT_VERIFY_KEY": str(security.verify_key),
    }


def _password_file(data: Path, device: str) -> Path:
    return data / "agents" / device / "password"


def _broker_user(security: Security) -> str:
    """Return whom `edgewatt init` took the broker to run as."""
    found = re.search(r"^user (\S+)$", security.mosquitto.read_text("utf-8"), re.MULTILINE)
    if os.geteuid() != 0 or found is None:
        return usual_broker_user()
    try:
        return pwd.getpwnam(found[1]).pw_name
    except KeyError:
        return usual_broker_user()
