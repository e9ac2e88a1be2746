"""A fleet's security folder and a broker that keeps to it, for tests."""

import os
import pwd
import signal
import socket
import sys
from pathlib import Path

from broker.credentials import Credentials
from broker.passwords import hashed, new_password, read_users, write_users
from controller.security.certificates import today
from controller.security.configuration import configuration
from controller.security.folder import Security
from controller.security.making import Making
from tests.fleet.brokers import MOSQUITTO, RunningBroker

OURSELVES = pwd.getpwuid(os.geteuid()).pw_name
LOCAL = ("localhost",)
TRIES = 5


def make_security(data, *, names=LOCAL, asked=(), operators=(), renew=False):
    """Run what `edgewatt init` runs, with a broker that stays our own user."""
    making = Making(security=Security.of(Path(data)), broker_user=OURSELVES, now=today())
    making.run(names, asked, operators, renew=renew)
    return making


class SecuredBroker(RunningBroker):
    """A broker with TLS, users and rights of a folder of its own."""

    def __init__(self, data, kind="mosquitto"):
        self.security = make_security(data).security
        for left in reversed(range(TRIES)):
            port, self.people_port = two_free_ports()
            argv = self._mosquitto(port) if kind == "mosquitto" else self._amqtt(port)
            try:
                super().__init__(kind, data, port=port, argv=argv)
            except AssertionError:  # somebody took a port meanwhile
                if not left:
                    raise
            else:
                return

    def _mosquitto(self, port):
        conf = self.security.root.parent / "mosquitto.conf"
        conf.write_text(
            configuration(self.security, OURSELVES, port=port, people_port=self.people_port, host="127.0.0.1")
        )
        return [MOSQUITTO, "-c", str(conf)]

    def _amqtt(self, port):
        files = ("--cert-file", self.security.server, "--key-file", self.security.server_key)
        users = ("--users", self.security.passwords, "--pid-file", self.security.pid_file)
        users += ("--people-port", self.people_port)
        return [sys.executable, "-m", "broker.embedded", "--port", str(port), *map(str, (*files, *users))]

    @property
    def url(self):
        return f"mqtts://localhost:{self.port}"

    @property
    def people_url(self):
        return f"mqtts://localhost:{self.people_port}"

    def answers(self):
        """Return whether it listens at both doors: it does not answer a CONNECT without TLS."""
        return listens(self.port) and listens(self.people_port)

    def add(self, *devices):
        """Let devices in, and return who each of them is."""
        users, made = read_users(self.security.passwords), {}
        for name in devices:
            made[name] = self.credentials(name, new_password())
            users[name] = hashed(made[name].password)
        write_users(self.security.passwords, users)
        self.reload()
        return [made[name] for name in devices]

    def credentials(self, user, password=None):
        """Return who `user` is, by the password in the folder where none is given."""
        password = password or self.security.password_of(user).read_text().strip()
        return Credentials(username=user, password=password, ca_file=str(self.security.ca))

    def reload(self):
        os.kill(self.pid, signal.SIGHUP)


def two_free_ports():
    """Return two ports that nobody listens on."""
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def listens(port):
    """Return whether somebody accepts connections at `port`."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError:
        return False
    return True
