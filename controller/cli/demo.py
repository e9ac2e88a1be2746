"""`edgewatt demo` and `edgewatt up`: a whole EdgeWatt on this machine, from start to Ctrl-C."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from broker.credentials import read_secret
from broker.errors import ArtifactError, EdgeWattError
from controller.cli import secured, stack
from controller.cli.data_folder import held
from controller.cli.demo_fleet import DemoDevice, Trial, ask_costs, find_trial, first_budget_mj, fleet
from controller.cli.following import command_end
from controller.cli.nats import find_nats
from controller.cli.ports import HOST, next_free
from controller.cli.processes import python
from controller.cli.readiness import wait_until
from controller.cli.supervisor import Say, Supervisor, supervised
from controller.client import Client
from controller.security.folder import PEOPLE_PORT, TLS_PORT, Security
from controller.workshop import imagenet

PLAIN_PORT = 1883
ALL_LIVE_S = 45.0
LOOK_EVERY_S = 0.2
MEASURE_S = 30.0
PROVED_S = 20.0
"""How long the other devices wait for the first one's proof; without it each makes its own."""

IMAGENET_ON, IMAGENET_MARGIN = "pi4-1", 2.0
Ready = Callable[["Report"], None]
TRIAL_TRIES = 5
TRIAL_MODELS = ("digits_mlp", "digits_cnn_s", "digits_cnn_l")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What was asked for on the command line."""

    devices: int
    dashboard: bool
    port: int
    mqtt_port: int
    dashboard_port: int
    data: Path
    broker: str
    fresh: bool = False
    database: str = ""
    imagenet: bool = False
    host: str = HOST


@dataclass(slots=True, kw_only=True)
class Report:
    """What came up, as `--json` prints it."""

    dashboard_url: str | None
    controller_url: str
    broker_url: str
    broker: str
    data_dir: str
    devices: list[str]
    live: list[str]
    first_live_s: float | None = None
    trial: Trial | None = None
    security: str | None = None
    people_port: int | None = None

    def document(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self)


def run(wishes: Wishes, say: Say, ready: Ready) -> None:
    """Bring up what `wishes` names, call `ready`, and stay until SIGINT or SIGTERM. Raises EdgeWattError."""
    began = time.monotonic()
    if wishes.imagenet:
        _require_imagenet()
    with held(wishes.data, fresh=wishes.fresh) as data:
        place = _place(wishes, data, say)
        story = _Story(wishes=wishes, place=place, say=say, ready=ready, began=began)
        try:
            asyncio.run(supervised(place.logs, say, story.tell))
        finally:
            say(f"everything ended; the data are in {data} (kept; --fresh begins anew)")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Story:
    """What happens from the first process to the moment when everything is up."""

    wishes: Wishes
    place: stack.Stack
    say: Say
    ready: Ready
    began: float

    async def tell(self, supervisor: Supervisor) -> None:
        """Start everything in `supervisor`, deploy the first models, and report."""
        place, devices = self.place, fleet(self.wishes.devices)
        if place.security:
            secured.let_in(place.security, place.data, (device.id for device in devices))
        await stack.start_broker(place, supervisor)
        await supervisor.start(stack.controller_program(place))
        if self.wishes.dashboard and not devices:
            await supervisor.start(stack.dashboard_program(place))  # beside it; devices would wait for the processor
        await self._start_agents(supervisor, devices)
        await stack.controller_ready(place, supervisor)
        if self.wishes.dashboard and devices:
            await supervisor.start(stack.dashboard_program(place))
        with _client(place) as client:
            report = await self._meet(client, devices)
            if self.wishes.dashboard:
                await stack.dashboard_ready(place, supervisor)
            self.ready(report)
            if self.wishes.imagenet:
                await self._show_imagenet(supervisor, client)

    async def _start_agents(self, supervisor: Supervisor, devices: tuple[DemoDevice, ...]) -> None:
        """Start the first one, and the others when it has proved the runtimes of this machine for all of them."""
        for device in devices[:1]:
            await supervisor.start(stack.agent_program(self.place, device))
            proved = partial(stack.hand_on_runtimes, self.place, devices)
            await asyncio.to_thread(wait_until, proved, within_s=PROVED_S)
        for device in devices[1:]:
            await supervisor.start(stack.agent_program(self.place, device))

    async def _show_imagenet(self, supervisor: Supervisor, client: Client) -> None:
        self.say(f"making {imagenet.NAME} from its published weights; this takes a minute")
        data = ("--data", str(self.place.data / "controller"))
        if await supervisor.once(python("imagenet", "-m", "controller.models", imagenet.NAME, *data)):
            self.say(f"{imagenet.NAME} could not be made; see {self.place.logs / 'imagenet.log'}")
            return
        await asyncio.to_thread(_deploy_measured, client, IMAGENET_ON, imagenet.NAME, IMAGENET_MARGIN, self.say)

    async def _meet(self, client: Client, devices: tuple[DemoDevice, ...]) -> Report:
        report = _report(self.wishes, self.place, devices)
        async with asyncio.TaskGroup() as group:
            async for device in _coming_live(client, devices):
                if report.first_live_s is None:
                    report.first_live_s = round(time.monotonic() - self.began, 1)
                    self.say(f"first live device after {report.first_live_s} s ({device.id})")
                report.live.append(device.id)
                group.create_task(asyncio.to_thread(deploy_first, client, device, self.say))
        if missing := sorted(set(report.devices) - set(report.live)):
            self.say(f"not live yet: {', '.join(missing)} (logs in {self.place.logs})")
        steady = tuple(device.id for device in devices if device.id in report.live and not device.heats_up)
        report.trial = await self._trial(client, steady)
        return report

    async def _trial(self, client: Client, devices: tuple[str, ...]) -> Trial | None:
        """Return the command to try first, or say why there is none; a busy controller is asked again."""
        said = "no device is live"
        for _ in range(TRIAL_TRIES if devices else 0):
            try:
                trial = find_trial(await asyncio.to_thread(ask_costs, client, devices, TRIAL_MODELS))
            except EdgeWattError as error:
                said = error.message
                await asyncio.sleep(LOOK_EVERY_S)
                continue
            if trial is not None:
                return trial
            said = f"no budget divides {', '.join(devices)}"
            break
        self.say(f"no command to try first: {said}")
        return None


async def _coming_live(client: Client, devices: tuple[DemoDevice, ...]) -> AsyncIterator[DemoDevice]:
    """Yield each of `devices` when the controller first calls it live, until all are or the time is over."""
    waiting = {device.id: device for device in devices}
    ends_at = time.monotonic() + ALL_LIVE_S
    while waiting and time.monotonic() < ends_at:
        known = await asyncio.to_thread(client.devices, limit=1000, health="live")
        for found in known["devices"]:
            if device := waiting.pop(found["id"], None):
                yield device
        await asyncio.sleep(LOOK_EVERY_S if waiting else 0)


def deploy_first(client: Client, device: DemoDevice, say: Say) -> None:
    """Give `device` its first model; not when it runs one already, or when one that it was given before is on its way.

    What waits for a trial to end would keep everybody waiting for ten seconds after a start.
    """
    try:
        if client.device(device.id)["device"].get("active"):
            return
        if client.deployments(open_only=True, device_id=device.id)["total"]:
            return
    except EdgeWattError as error:
        say(f"nothing was deployed to {device.id}: {error.message}")
        return
    _deploy_measured(client, device.id, device.model, device.margin, say)


def _deploy_measured(client: Client, device_id: str, model: str, margin: float, say: Say) -> None:
    """Measure `model` on a device, and deploy it there within `margin` times what it cost."""
    try:
        command_end(client, client.benchmark(device_id, model)["command_id"], MEASURE_S)
        verdict = client.deploy(device_id, model, dry_run=True)["verdict"]
        client.deploy(device_id, model, max_energy_mj=first_budget_mj(verdict, margin))
    except EdgeWattError as error:
        say(f"{model} was not deployed to {device_id}: {error.message}")


def _require_imagenet() -> None:
    """Raise ArtifactError when what makes the ImageNet model is not installed."""
    missing = [name for name in imagenet.NEEDED if find_spec(name) is None]
    if missing:
        raise ArtifactError(
            f"--imagenet needs {', '.join(missing)}", code="extra_missing", hint=f"{imagenet.INSTALL} (about 1 GB)"
        )


def _client(place: stack.Stack) -> Client:
    """Return the controller's client, as its first administrator where there are keys."""
    if place.security is None:
        return Client(place.controller_url)
    token, ca_file = read_secret(str(place.security.admin_token)), str(place.security.ca)
    return Client(place.controller_url, token=token, ca_file=ca_file)


def _place(wishes: Wishes, data: Path, say: Say) -> stack.Stack:
    """Settle ports and broker, saying what differs from what was asked for."""
    broker = stack.chosen_broker(wishes.broker, users=Security.of(data).made)
    security = secured.security_of(data, wishes.host, broker)
    wishes = replace(wishes, mqtt_port=wishes.mqtt_port or (TLS_PORT if security else PLAIN_PORT))
    chosen: dict[str, int] = {}
    for what in ("mqtt_port", "port", "dashboard_port"):
        wanted = getattr(wishes, what)
        chosen[what] = next_free(wanted, chosen.values())
        if chosen[what] != wanted:
            say(f"port {wanted} is taken; using {chosen[what]} (--{what.replace('_', '-')})")
    if security:
        chosen["people_port"] = next_free(PEOPLE_PORT, chosen.values())
    if broker == "mosquitto":
        stack.find_mosquitto()
    elif broker == "nats":
        find_nats()
    say(f"broker: {broker}" + (f" (--broker {wishes.broker})" if wishes.broker != broker else ""))
    return stack.Stack(
        data=data, broker=broker, host=wishes.host, security=security, database=wishes.database, **chosen
    )


def _report(wishes: Wishes, place: stack.Stack, devices: tuple[DemoDevice, ...]) -> Report:
    return Report(
        dashboard_url=place.dashboard_url if wishes.dashboard else None,
        controller_url=place.controller_url,
        broker_url=place.broker_url,
        broker=place.broker,
        data_dir=str(place.data),
        security=str(place.security.root) if place.security else None,
        people_port=place.people_port if place.security else None,
        devices=[device.id for device in devices],
        live=[],
    )
