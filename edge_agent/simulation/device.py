"""One simulated device: the agent that boards run, on a simulated board, over a real connection."""

import asyncio
import contextlib
import logging
import time
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from broker.link import Link
from broker.looped import LoopedLink
from edge_agent.agent import Agent
from edge_agent.compose import Machine, Parts, compose, identify, will
from edge_agent.download import Patience
from edge_agent.identity import Identity
from edge_agent.journal import KEEP_TERMINAL
from edge_agent.power.modelled import simulated
from edge_agent.settings import Settings
from edge_agent.simulation.body import Body, born
from edge_agent.simulation.draws import draws
from edge_agent.simulation.faults import Faults
from edge_agent.simulation.flash import SimulatedStore, SlowDownloader, renaming
from edge_agent.simulation.link import WeatherLink
from edge_agent.simulation.logs import belong_to
from edge_agent.simulation.mix import Member
from edge_agent.simulation.network import Weather
from edge_agent.simulation.proving import SimulatedProver
from edge_agent.simulation.record import FileRecord, NoRecord, Record, RecordedJournal
from edge_agent.simulation.runtime import SimulatedRuntime
from edge_agent.simulation.serving import SimulatedServer
from edge_agent.simulation.span import within
from edge_agent.simulation.vitals import seen

log = logging.getLogger("simulation")

PATIENCE = Patience(timeout_s=10.0, first_wait_s=0.5, most_wait_s=15.0, give_up_s=600.0)
ALL = 1_000_000

MISFIRE_S = 5.0
"""How long a device rests whose agent died, as systemd would let it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What all devices of a run share; `began` is its first moment on the monotonic clock."""

    broker: str
    folder: Path
    seed: int = 0
    interval_s: float = 5.0
    rate: float = 1.0
    speed: float = 1.0
    poll_s: float = 5.0
    recorded: bool = False
    pool: Executor | None = None
    began: float = field(default_factory=time.monotonic)

    @property
    def run_s(self) -> float:
        """How long the run has lasted."""
        return time.monotonic() - self.began


@dataclass(slots=True, kw_only=True)
class Device:
    """A member of the fleet that lives until it is stopped, through reboots; `deaths` counts those."""

    run: Run
    member: Member
    faults: Faults
    body: Body
    record: Record
    deaths: int = 0
    misfires: list[str] = field(default_factory=list)
    link: LoopedLink | None = None
    agent: Agent | None = None
    _booted_s: float = 0.0
    _life: int = 0
    _power: asyncio.Event = field(default_factory=asyncio.Event)
    _over: bool = False

    @property
    def connected(self) -> bool:
        """Whether its broker answers now."""
        return self.link is not None and self.link.connected

    @property
    def flash_is_full(self) -> bool:
        """Whether nothing can be written now."""
        return within(self.faults.flash_full, self.run.run_s)

    def now(self) -> float:
        """Return what its clock shows."""
        return self.faults.clock.reads(time.time(), run_s=self.run.run_s, booted_s=self._booted_s)

    def clock_is_set(self) -> bool:
        """Whether it believes its clock."""
        return self.faults.clock.is_set(run_s=self.run.run_s, booted_s=self._booted_s)

    def weather(self) -> Weather:
        """Return how the way to the broker is now."""
        return self.faults.weather if self.run.run_s < self.faults.weather_s else Weather()

    async def live(self) -> None:
        """Boot, work, and boot again, until `stop`."""
        async with asyncio.TaskGroup() as group:
            misfortunes = [group.create_task(each) for each in (self._cuts(), self._reboots())]
            while not self._over:
                try:
                    await self._once()
                except Exception as error:
                    # on a board the process would end, and systemd would start the next one
                    self.misfires.append(repr(error))
                    log.exception("the agent of %s died", self.member.id)
                    await asyncio.sleep(MISFIRE_S)
            for task in misfortunes:
                task.cancel()

    def stop(self) -> None:
        """Stop cleanly: the agent says goodbye."""
        self._over = True
        if self.agent is not None:
            self.agent.stop.set()
        self._power.set()

    @property
    def _kept(self) -> int:
        """How many ended commands the journal keeps: the audit wants them all."""
        return ALL if self.run.recorded else KEEP_TERMINAL

    async def _once(self) -> None:
        """Live one life of the agent: to a clean stop, or until the power goes."""
        self._booted_s, self._power = self.run.run_s, asyncio.Event()
        settings = self._settings()
        identity = identify(settings)
        self.record.boot(identity.boot)
        self.link = LoopedLink(
            settings.broker,
            settings.id,
            will=will(identity, settings.interval_s),
            credentials=settings.credentials,
            pool=self.run.pool,
            seed=draws(self.run.seed, settings.id, f"attempts {identity.boot}").getrandbits(32),
        )
        self.agent = compose(
            settings, identity=identity, link=self._weathered(self.link, identity), parts=self._parts()
        )
        working = asyncio.create_task(self._work(self.agent, self.link))
        power_lost = asyncio.create_task(self._power.wait())
        await asyncio.wait((working, power_lost), return_when=asyncio.FIRST_COMPLETED)
        power_lost.cancel()
        if not working.done() and not self._over:
            self.deaths += 1
            self._life += 1
            self.agent.lane.close()  # what still works in a thread ends with it
            self.link.cut()
            working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working

    async def _work(self, agent: Agent, link: LoopedLink) -> None:
        belong_to(agent.log_lines)
        async with link:
            await agent.run()

    async def _cuts(self) -> None:
        for span in (span for span in self.faults.cuts if span.until_s > self.run.run_s):
            await self._until(span.at_s)
            if self.link is not None:
                self.link.cut()
            await self._until(span.until_s)
            if self.link is not None:
                self.link.mend()

    async def _reboots(self) -> None:
        for at_s in (at_s for at_s in self.faults.reboots if at_s > self.run.run_s):
            await self._until(at_s)
            self._power.set()

    async def _until(self, run_s: float) -> None:
        await asyncio.sleep(max(run_s - self.run.run_s, 0.0))

    def _weathered(self, link: LoopedLink, identity: Identity) -> Link:
        if self.faults.weather.calm:
            return link
        draw = draws(self.run.seed, self.member.id, f"weather {identity.boot}")
        return WeatherLink(inner=link, weather=self.weather, draw=draw)

    def _settings(self) -> Settings:
        member = self.member
        return Settings(
            id=member.id,
            broker=self.run.broker,
            data=self.run.folder / member.id,
            device_type=member.device_type,
            tags={"line": member.line},
            simulate=True,
            battery_wh=member.battery_wh,
            solar_wh_per_day=member.solar_wh_per_day,
            rate=self.run.rate,
            interval_s=self.run.interval_s,
            poll_s=self.run.poll_s,
            seed=self.run.seed,
        )

    def _parts(self) -> Parts:
        runtime = SimulatedRuntime(body=self.body)

        life = self._life

        def full() -> bool:
            return self.flash_is_full or life != self._life  # a thread of a life that is over writes nothing

        machine = Machine(
            meter=simulated(self.body),
            power=lambda: self.body.at(self.run.run_s),
            dress=lambda session: session,
        )
        return Parts(
            runtimes=(runtime,),
            runtime_infos=(runtime.info,),
            machine=machine,
            downloader=SlowDownloader(patience=PATIENCE, full=full, bytes_per_s=self.faults.flash_bytes_per_s),
            journal=partial(RecordedJournal, record=self.record, rename=renaming(full), keep=self._kept),
            store=partial(SimulatedStore, full=full, record=self.record),
            server=partial(SimulatedServer, body=self.body),
            prover=partial(SimulatedProver, speed=self.run.speed),
            look=lambda _folder: seen(self.body, self.run.run_s - self._booted_s),
            now=self.now,
            clock_is_set=self.clock_is_set,
        )


def device(run: Run, member: Member, faults: Faults) -> Device:
    """Return the device that `member` names; its files are in a folder of its own."""
    record: Record = FileRecord(run.folder / member.id) if run.recorded else NoRecord()
    return Device(run=run, member=member, faults=faults, body=born(member, run.seed), record=record)
