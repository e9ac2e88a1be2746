"""One torture run, from the first process to the verdict."""

import asyncio
import contextlib
import json
import sqlite3
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from broker.errors import EdgeWattError
from broker.looped import LoopedLink
from broker.phases import TERMINAL
from controller.cli import stack
from controller.cli.ports import some_free
from controller.cli.processes import Program
from controller.cli.readiness import answers_http, answers_mqtt, wait_until
from controller.cli.simulated import FleetWishes, newest, programs, total
from controller.client import Client
from controller.records import Deployments
from controller.storage.database import EVERY
from controller.storage.store import Store
from controller.torture.giver import Giver
from controller.torture.havoc import Havoc
from controller.torture.plan import Kill, deeds, kills
from controller.torture.variants import BASE, variants
from controller.torture.verdict import Verdict, judge

FAULTS = "cuts,reboots,latency,loss,duplicates,reorder,flash_full,clock_jumps,clock_unset"
OFTEN = 3.0
UP_S, READY_S, SETTLE_S, POLITE_S = 60.0, 60.0, 150.0, 20.0
LOOK_S = 0.5
SAY_EVERY_S = 10.0
MODELS = 4
AGENT_PROCESSES = 4
REDELIVERY_S = 1.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What was asked for on the command line."""

    minutes: float
    seed: int
    devices: int
    trials: int | None
    broker: str
    data: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A run's verdict and what was done to it."""

    verdict: Verdict
    killed: Mapping[str, int]
    refused: int
    ran_s: float
    settled_s: float | None


async def torture(wishes: Wishes, say: Say) -> Outcome:
    """Bring everything up, break it, let it settle, and judge. Raises EdgeWattError when it cannot come up."""
    run = _Run(wishes=wishes, say=say, place=_place(wishes), havoc=Havoc(wishes.data / "logs"))
    try:
        return await run.story()
    finally:
        await run.havoc.end(tuple(run.havoc.children), POLITE_S)


def _place(wishes: Wishes) -> stack.Stack:
    broker = stack.chosen_broker(wishes.broker)
    mqtt_port, port = some_free(2)  # two runs side by side: what one has just killed must not look free to the other
    return stack.Stack(data=wishes.data, broker=broker, mqtt_port=mqtt_port, port=port, dashboard_port=0)


@dataclass(slots=True, kw_only=True)
class _Run:
    """What happens, in its order."""

    wishes: Wishes
    say: Say
    place: stack.Stack
    havoc: Havoc

    async def story(self) -> Outcome:
        """Return what came of it."""
        began = time.monotonic()
        await self._up()
        with Client(self.place.controller_url, timeout=20.0) as client:
            models = [BASE, *await asyncio.to_thread(_upload, client)]
            names = await self._first_models(client, models[0])
            self.say(f"{len(names)} devices run {models[0]}; breaking things for {self.wishes.minutes:g} min")
            giver = await self._break(client, names, models)
            settled_s = await self._settle(giver)
        verdict = await self._judge(giver)
        return Outcome(
            verdict=verdict,
            killed=dict(self.havoc.killed),
            refused=giver.refused,
            ran_s=time.monotonic() - began,
            settled_s=settled_s,
        )

    async def _up(self) -> None:
        await self.havoc.start(stack.broker_program(self.place))
        await self._ready(partial(answers_mqtt, self.place.mqtt_port), "the broker")
        await self.havoc.start(_controller(self.place))
        await self._ready(partial(answers_http, self.place.port, "/readyz"), "the controller")

    async def _first_models(self, client: Client, model: str) -> list[str]:
        """Let the fleet come up in peace and give each device a model; return the devices."""
        peaceful = self._fleet(0.0)
        for program in peaceful:
            await self.havoc.start(program)
        ready = partial(_connected, self.havoc, self.wishes.devices)
        await self._ready(ready, "the fleet")
        names = await asyncio.to_thread(_registered, client, self.wishes.devices)
        for name in names:
            await asyncio.to_thread(client.deploy, name, model)
        await self._ready(lambda: self._open() == 0, "first deployments")
        await self.havoc.end((program.name for program in peaceful), POLITE_S)
        return names

    async def _break(self, client: Client, names: list[str], models: list[str]) -> Giver:
        """Give commands while everything goes wrong, until the time is over or enough were given."""
        run_s = self.wishes.minutes * 60
        for program in self._fleet(run_s):
            await self.havoc.start(program)
        link = LoopedLink(self.place.broker_url, "edgewatt-torture", seed=self.wishes.seed)
        giver = Giver(link=link, client=client, devices=names, models=models)
        todo: asyncio.Queue[Any] = asyncio.Queue(maxsize=1)
        async with link:
            hands = [asyncio.create_task(each) for each in (giver.give(todo), giver.listen(), giver.ask_again())]
            wreaking = asyncio.create_task(self.havoc.wreak(self._kills(run_s)))
            early = await self._feed(todo, giver, len(models), run_s)
            hands[0].cancel()
            self.havoc.over.set()
            await wreaking
            if early:
                await self._make_peace()
            await self._answered(giver)
            for task in hands:
                task.cancel()
            await asyncio.wait(hands)
            for task in hands:
                if not task.cancelled():
                    task.result()
        return giver

    async def _make_peace(self) -> None:
        """Let the devices go on in fine weather, also when enough was given before the time was over."""
        peaceful = self._fleet(0.0)
        await self.havoc.end((program.name for program in peaceful), POLITE_S)
        for program in peaceful:
            await self.havoc.start(program)

    def _kills(self, run_s: float) -> tuple[Kill, ...]:
        return kills(self.wishes.seed, run_s=run_s, targets=tuple(self.havoc.children))

    async def _feed(self, todo: asyncio.Queue[Any], giver: Giver, models: int, run_s: float) -> bool:
        """Hand out deeds until the time is over, or return True as soon as enough was given."""
        said_at = time.monotonic()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(run_s):
                for deed in deeds(self.wishes.seed, devices=len(giver.devices), models=models):
                    await todo.put(deed)
                    if self.wishes.trials is not None and len(giver.book.given) >= self.wishes.trials:
                        return True
                    if time.monotonic() - said_at > SAY_EVERY_S:
                        said_at = time.monotonic()
                        self.say(f"{len(giver.book.given)} commands given, killed: {_killed(self.havoc)}")
        return False

    async def _answered(self, giver: Giver) -> None:
        """Go on typing until everything that was typed is answered."""
        ends_at = time.monotonic() + SETTLE_S
        while giver.book.unanswered() and time.monotonic() < ends_at:  # noqa: ASYNC110 - so is giving up
            await asyncio.sleep(LOOK_S)

    async def _settle(self, giver: Giver) -> float | None:
        """Wait until nothing moves any more; return how long it took, None when it never did."""
        began = time.monotonic()
        self.say(f"{len(giver.book.given)} commands given; letting the fleet settle")
        while time.monotonic() - began < SETTLE_S:
            if self._open() == 0 and _quiet(self.havoc, self.wishes.devices):
                return time.monotonic() - began
            await asyncio.sleep(LOOK_S)
        return None

    async def _judge(self, giver: Giver) -> Verdict:
        agents = [name for name in self.havoc.children if name.startswith("fleet")]
        await self.havoc.end(agents, POLITE_S)
        await asyncio.sleep(1.0)
        await self.havoc.end(("controller",), POLITE_S)
        found = await _audit(self.place.data / "agents")
        store = Store(self.place.data / "controller" / "controller.db")
        try:
            deployments = Deployments(store).find(limit=EVERY)
            orders = store.query("SELECT * FROM commands")
        finally:
            store.close()
        return judge(giver.book.given.values(), found, deployments, orders)

    def _fleet(self, fault_s: float) -> list[Program]:
        wishes = FleetWishes(
            devices=self.wishes.devices,
            mix="jetson_nano_2gb:40,raspberry_pi_5:40,beaglebone_black:20",
            seed=self.wishes.seed,
            broker=self.place.broker_url,
            folder=self.place.data / "agents",
            faults=FAULTS if fault_s else "",
            fault_s=fault_s,
            began_at=time.time(),
            processes=max(1, min(AGENT_PROCESSES, self.wishes.devices // 2)),
            speed=0.0,
            often=OFTEN,
            poll_s=1.0,
            interval_s=5.0,
            record=True,
        )
        return programs(wishes)

    def _open(self) -> int:
        return _still_open(self.place.data / "controller" / "controller.db")

    async def _ready(self, holds: Callable[[], bool], what: str) -> None:
        if not await asyncio.to_thread(wait_until, holds, within_s=READY_S):
            raise EdgeWattError(f"{what} did not get ready within {READY_S:.0f} s; see {self.place.logs}")


def _controller(place: stack.Stack) -> Program:
    program = stack.controller_program(place)
    quick = ("--probe-inferences", "5", "--soak-s", "0", "--redelivery-s", str(REDELIVERY_S))
    return replace(program, argv=(*program.argv, *quick))


def _upload(client: Client) -> list[str]:
    made = variants(MODELS - 1)
    for name, content in made.items():
        client.upload([content], len(content), filename=f"{name}.onnx", name=name)
    return list(made)


def _registered(client: Client, devices: int) -> list[str]:
    return [each["id"] for each in client.devices(limit=devices)["devices"]]


def _counts(havoc: Havoc) -> dict[str, Any]:
    agents = (child for name, child in havoc.children.items() if name.startswith("fleet"))
    return total(counts for counts in map(newest, agents) if counts)


def _connected(havoc: Havoc, devices: int) -> bool:
    return bool(_counts(havoc).get("connected") == devices)


def _quiet(havoc: Havoc, devices: int) -> bool:
    """Return whether every device is there and none has anything left to do."""
    counts = _counts(havoc)
    at_work = set(counts.get("commands", ())) - {phase.value for phase in TERMINAL}
    return bool(counts.get("connected") == devices) and not at_work


def _killed(havoc: Havoc) -> str:
    return ", ".join(f"{name} {n}" for name, n in sorted(havoc.killed.items())) or "nothing yet"


def _still_open(database: Path) -> int:
    """Return how many deployments and orders the controller's store has open; read beside the running controller."""
    ended = ", ".join(f"'{phase.value}'" for phase in TERMINAL)
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=5.0)) as reading:
        [(deployments,)] = reading.execute("SELECT count(*) FROM deployments WHERE open = 1")
        [(orders,)] = reading.execute(f"SELECT count(*) FROM commands WHERE phase IS NULL OR phase NOT IN ({ended})")  # noqa: S608 - our own words
    return int(deployments) + int(orders)


async def _audit(folder: Path) -> list[dict[str, Any]]:
    """Return what the devices' files prove, as the process that knows them tells."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "edge_agent.simulation", "audit", str(folder), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    if process.returncode:
        raise EdgeWattError(f"the audit of {folder} ended with code {process.returncode}", code="process_died")
    return [json.loads(line) for line in out.splitlines()]
