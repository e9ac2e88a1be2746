"""The programs that make up a local EdgeWatt: broker, controller, dashboard, simulated agents."""

import importlib.util
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from broker.errors import NotFoundError
from broker.hosts import is_loopback
from controller.cli import secured
from controller.cli.demo_fleet import DemoDevice
from controller.cli.nats import nats_program, nats_server
from controller.cli.ports import HOST
from controller.cli.processes import Program, python
from controller.cli.readiness import answers_http, answers_mqtt
from controller.cli.supervisor import Supervisor
from controller.security.folder import Security

START_S = 60.0
RUNTIMES = "runtimes.json"
"""Where an agent keeps which runtimes ran on this machine, in its data folder."""
SBIN = "/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin"

MOSQUITTO_CONF = """\
listener {port} {host}
allow_anonymous true
max_packet_size 70000
max_inflight_messages 2000
max_queued_messages 1000000
persistence true
persistence_location {folder}/
autosave_interval 10
{user}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """Where a local EdgeWatt listens and keeps its data."""

    data: Path
    broker: str
    mqtt_port: int
    port: int
    dashboard_port: int
    host: str = HOST
    security: Security | None = None
    database: str = ""
    people_port: int = 0

    @property
    def logs(self) -> Path:
        """The folder of the processes' logs."""
        return self.data / "logs"

    def agent_data(self, device: DemoDevice) -> Path:
        """Return the folder of a simulated device."""
        return self.data / "agents" / device.id

    @property
    def broker_url(self) -> str:
        """Where devices of this machine connect."""
        return f"mqtts://localhost:{self.mqtt_port}" if self.security else f"mqtt://{HOST}:{self.mqtt_port}"

    @property
    def ports(self) -> secured.Ports:
        """Where a broker with users listens."""
        return secured.Ports(devices=self.mqtt_port, people=self.people_port)

    @property
    def exposed(self) -> bool:
        """Whether other machines reach it, so that REST speaks TLS, too."""
        return not is_loopback(self.host)

    @property
    def controller_url(self) -> str:
        """Where REST answers."""
        return f"https://localhost:{self.port}" if self.exposed else f"http://{HOST}:{self.port}"

    @property
    def dashboard_url(self) -> str:
        """What a person opens."""
        return f"http://{HOST}:{self.dashboard_port}"


async def start_broker(stack: Stack, supervisor: Supervisor) -> None:
    """Start the broker and return when it acknowledges connections. Raises EdgeWattError."""
    await supervisor.start(broker_program(stack))
    await supervisor.ready(
        "broker", partial(answers_mqtt, stack.mqtt_port, tls=stack.security is not None), within_s=START_S
    )


async def controller_ready(stack: Stack, supervisor: Supervisor) -> None:
    """Return when the controller can work. Raises EdgeWattError."""
    await supervisor.ready(
        "controller", partial(answers_http, stack.port, "/readyz", tls=stack.exposed), within_s=START_S
    )


async def dashboard_ready(stack: Stack, supervisor: Supervisor) -> None:
    """Return when the dashboard can be opened. Raises EdgeWattError."""
    await supervisor.ready(
        "dashboard", partial(answers_http, stack.dashboard_port, "/_stcore/health"), within_s=START_S
    )


def broker_program(stack: Stack) -> Program:
    """Return the broker: embedded, or mosquitto or NATS with a configuration of their own in the data folder."""
    if stack.security and stack.broker == "mosquitto":
        return secured.mosquitto_program(stack.security, find_mosquitto(), stack.host, stack.ports)
    if stack.security:
        return secured.embedded_program(stack.security, stack.host, stack.ports)
    if stack.broker == "amqtt":
        return python("broker", "-m", "broker.embedded", "--host", HOST, "--port", str(stack.mqtt_port), vital=True)
    if stack.broker == "nats":
        return nats_program(HOST, stack.mqtt_port, stack.data / "broker" / "nats")
    folder = stack.data / "broker"
    folder.mkdir(parents=True, exist_ok=True)
    configuration = folder / "mosquitto.conf"
    # Started by root it would become the user `mosquitto`, who cannot write to our folder.
    user = "user root\n" if os.geteuid() == 0 else ""
    configuration.write_text(MOSQUITTO_CONF.format(port=stack.mqtt_port, host=HOST, folder=folder.resolve(), user=user))
    return Program(name="broker", argv=(find_mosquitto(), "-c", str(configuration)), vital=True)


def chosen_broker(wanted: str, *, users: bool = False) -> str:
    """Return `wanted`; for auto what is installed: mosquitto, else NATS, else the embedded broker that always is.

    One that knows `users` is no NATS of ours.
    """
    if wanted != "auto":
        return wanted
    return "mosquitto" if _mosquitto() else "nats" if nats_server() and not users else "amqtt"


def find_mosquitto() -> str:
    """Return the path of mosquitto. Raises NotFoundError."""
    found = _mosquitto()
    if found is None:
        raise NotFoundError(
            "mosquitto is not installed",
            hint="apt-get install mosquitto, or leave --broker out to use the embedded one",
        )
    return found


def controller_program(stack: Stack) -> Program:
    """Return the controller: MQTT, REST and artifacts in one process."""
    where = ("--broker", stack.broker_url, "--host", stack.host, "--port", str(stack.port))
    keys = ("--security", str(stack.security.root)) if stack.security else ()
    kept = ("--database", stack.database) if stack.database else ()
    data = ("--data", str(stack.data / "controller"))
    return python("controller", "-m", "controller", *where, *keys, *kept, *data, vital=True)


def dashboard_program(stack: Stack) -> Program:
    """Return the dashboard, which asks the controller and nothing else. Raises NotFoundError without its extra."""
    package, streamlit = importlib.util.find_spec("dashboard"), importlib.util.find_spec("streamlit")
    folders = package.submodule_search_locations if package else None
    if not folders or streamlit is None:
        raise NotFoundError(
            "the dashboard is not installed", hint="pip install 'edgewatt[dashboard]', or add --no-dashboard"
        )
    app = Path(next(iter(folders))) / "app.py"
    options = {
        "server.port": str(stack.dashboard_port),
        "server.address": HOST,
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
        "client.showErrorDetails": "none",
    }
    flags = (f"--{name}={value}" for name, value in options.items())
    told = {"EDGEWATT_CONTROLLER_URL": stack.controller_url}
    told |= {secured.CA_OF_CONTROLLER: str(stack.security.ca)} if stack.security else {}
    return replace(python("dashboard", "-m", "streamlit", "run", str(app), *flags), env=told)


def hand_on_runtimes(stack: Stack, devices: Iterable[DemoDevice]) -> bool:
    """Give what the first of `devices` proved of this machine's runtimes to the others; return False before it did."""
    first, *others = (stack.agent_data(device) / RUNTIMES for device in devices)
    if not first.exists():
        return False
    for path in (path for path in others if not path.exists()):
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(first, path)
    return True


def agent_program(stack: Stack, device: DemoDevice) -> Program:
    """Return the agent that plays `device`, with a folder of its own."""
    identity = ("--id", device.id, "--device-type", device.device_type, "--tag", f"line={device.line}")
    where = ("--broker", stack.broker_url, "--data", str(stack.agent_data(device)))
    simulate = ("--simulate", "--simulate-throttle") if device.heats_up else ("--simulate",)
    pace = ("--rate", "2", "--interval", "2")
    who = secured.device_environment(stack.security, stack.data, device.id) if stack.security else {}
    return replace(python(device.id, "-m", "edge_agent", "run", *identity, *where, *simulate, *pace), env=who)


def _mosquitto() -> str | None:
    return shutil.which("mosquitto") or shutil.which("mosquitto", path=SBIN)
