"""Real brokers as processes on free ports, which a test may kill and bring back."""

import shutil
import socket
import sys
from pathlib import Path

from controller.cli.nats import nats_program, nats_server
from controller.cli.readiness import answers_mqtt, wait_until
from tests.fleet.forks import begun

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")

NATS = nats_server()

MOSQUITTO_CONF = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence true
persistence_location {folder}/
user root
"""


def free_port():
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class RunningBroker:
    """A broker in its own process; `restart` brings it back on the same port with the same folder."""

    def __init__(self, kind, folder, port=None, argv=None):
        self.kind = kind
        self.folder = Path(folder)
        self.port = port or free_port()
        self.argv = argv or self._argv()
        self._process = None
        self._log = self.folder / f"{kind}-{self.port}.log"
        self.start()

    @property
    def url(self):
        return f"mqtt://127.0.0.1:{self.port}"

    @property
    def log(self):
        return self._log.read_text(errors="replace")

    @property
    def pid(self):
        return self._process.pid

    @property
    def alive(self):
        return self._process is not None and self._process.poll() is None

    def start(self):
        self._process = begun(self.argv, self._log)
        if not wait_until(self.answers, within_s=20, alive=lambda: self.alive):
            self.kill()
            raise AssertionError(f"{self.kind} did not start on {self.port}: {self.log[-2000:]}")

    def answers(self):
        """Return whether it takes connections."""
        return answers_mqtt(self.port)

    def kill(self):
        """End it at once, as a power cut would."""
        self._end(self._process.kill)

    def stop(self):
        """End it politely."""
        self._end(self._process.terminate)

    def restart(self):
        """Kill it if it runs, and start it again on the same port."""
        self.kill()
        self.start()

    def _end(self, how):
        if self.alive:
            how()
        self._process.wait(timeout=20)

    def _argv(self):
        if self.kind == "amqtt":
            return [sys.executable, "-m", "broker.embedded", "--port", str(self.port)]
        if self.kind == "nats":
            return nats_program("127.0.0.1", self.port, self.folder / f"nats-{self.port}", ack_wait_s=1).argv
        conf = self.folder / f"mosquitto-{self.port}.conf"
        conf.write_text(MOSQUITTO_CONF.format(port=self.port, folder=self.folder))
        return [MOSQUITTO, "-c", str(conf)]
