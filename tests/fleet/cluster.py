"""A broker of three NATS nodes on this machine, with the configuration that we ship; a test may kill any of them."""

import os
import subprocess
from functools import partial
from pathlib import Path

from controller.cli.ports import some_free
from controller.cli.readiness import answers_mqtt, wait_until
from tests.fleet.brokers import NATS

CONF = Path(__file__).parent.parent.parent / "deploy" / "nats" / "node.conf"
NODES = 3


class RunningCluster:
    """`url` names all nodes, `ports` are where they speak MQTT."""

    def __init__(self, folder):
        self.folder = Path(folder)
        ports = some_free(3 * NODES)
        self.ports, self._routes, self._clients = ports[:NODES], ports[NODES : 2 * NODES], ports[2 * NODES :]
        self._processes = [None] * NODES
        self.start(*range(NODES))

    @property
    def url(self):
        return "mqtt://" + ",".join(f"127.0.0.1:{port}" for port in self.ports)

    def start(self, *nodes):
        """Start these nodes, and return when each acknowledges connections."""
        for node in nodes:
            with (self.folder / f"node-{node}.log").open("ab") as log:
                argv, environment = [NATS, "-c", str(CONF)], os.environ | self._environment(node)
                self._processes[node] = subprocess.Popen(argv, stdout=log, stderr=log, env=environment)
        for node in nodes:
            if not wait_until(partial(answers_mqtt, self.ports[node]), within_s=30):
                self.end()
                raise AssertionError(f"node {node} does not answer: {self.log(node)[-2000:]}")

    def of(self, address):
        """Return which node `host:port` is."""
        return self.ports.index(int(address.rpartition(":")[2]))

    def log(self, node):
        return (self.folder / f"node-{node}.log").read_text(errors="replace")

    def kill(self, node):
        """End a node at once, as a power cut would."""
        self._processes[node].kill()
        self._processes[node].wait(timeout=20)

    def end(self):
        for node in range(NODES):
            if self._processes[node] is not None:
                self.kill(node)

    def _environment(self, node):
        routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in self._routes)
        return {
            "EDGEWATT_NATS_NAME": f"node-{node}",
            "EDGEWATT_NATS_STORE": str(self.folder / f"node-{node}"),
            "EDGEWATT_NATS_MQTT": f'"127.0.0.1:{self.ports[node]}"',
            "EDGEWATT_NATS_CLUSTER": f'"127.0.0.1:{self._routes[node]}"',
            "EDGEWATT_NATS_CLIENTS": f'"127.0.0.1:{self._clients[node]}"',
            "EDGEWATT_NATS_ROUTES": f"[{routes}]",
        }
