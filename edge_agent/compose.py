"""Builds an agent from its settings; tests hand in what they want to be different."""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from broker.link import Link, Will
from broker.messages import PowerState, RuntimeInfo, Status
from broker.topics import STATUS
from edge_agent import power, vitals
from edge_agent.agent import Agent
from edge_agent.boards import BOARDS
from edge_agent.cadence import Cadence, Pace
from edge_agent.commands import Commands, needs_what_runs
from edge_agent.content import Contents
from edge_agent.desk import Desk
from edge_agent.download import Downloader
from edge_agent.duty import Duty, is_busy
from edge_agent.fleetmate import Fleetmate, spread
from edge_agent.governing import Governor
from edge_agent.history import History
from edge_agent.identity import Identity, new_session, next_boot
from edge_agent.install import Installer
from edge_agent.journal import Entry, Journal
from edge_agent.lane import Lane
from edge_agent.loglines import LogLines
from edge_agent.modelstore import ModelStore
from edge_agent.outgoing import Outgoing
from edge_agent.policy import Rules
from edge_agent.power.meter import Meter
from edge_agent.power.modelled import simulated
from edge_agent.proving import Prover
from edge_agent.reporting import Reporter
from edge_agent.runtimes.session import Runtime, Session
from edge_agent.serving import Server
from edge_agent.settings import Settings
from edge_agent.simulation.board import SimulatedBoard, SimulatedSession
from edge_agent.spool import Spool
from edge_agent.telemetry import Sampler
from edge_agent.trust import Trust

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The hardware, real or simulated: its meter, its senses, and how a session on it looks."""

    meter: Meter
    power: Callable[[], PowerState]
    dress: Callable[[Session], Session]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What stands between the agent and the world; tests replace any of it."""

    runtimes: Sequence[Runtime]
    runtime_infos: Sequence[RuntimeInfo]
    machine: Machine
    downloader: Downloader = field(default_factory=Downloader)
    journal: Callable[[Path], Journal] = Journal
    store: Callable[[Path], ModelStore] = ModelStore
    server: Callable[..., Server] = Server
    prover: Callable[..., Prover] = Prover
    look: Callable[[Path], vitals.Vitals] = vitals.look
    now: Callable[[], float] = time.time
    clock_is_set: Callable[[], bool] = vitals.clock_is_set


def machine(settings: Settings, device_type: str) -> Machine:
    """Return the board that `settings` simulate, or this machine."""
    if not settings.simulate:
        return Machine(
            meter=power.pick(device_type, wanted=settings.meter), power=vitals.power, dress=lambda session: session
        )
    board = SimulatedBoard(
        board=BOARDS.get(device_type, BOARDS["raspberry_pi_4"]),
        seed=settings.seed,
        heats_after_s=settings.heats_after_s,
    )
    return Machine(
        meter=simulated(board), power=lambda: board.power, dress=lambda session: SimulatedSession(session, board)
    )


def identify(settings: Settings, *, ip: str | None = None) -> Identity:
    """Return who the agent is in this life; writes the count of its boots."""
    settings.data.mkdir(parents=True, exist_ok=True)
    real = vitals.board_name()
    device_type = settings.device_type or vitals.device_type(real)
    boot = next_boot(settings.data)
    known = BOARDS.get(device_type)
    return Identity(
        device_id=settings.id,
        session=new_session(boot),
        boot=boot,
        device_type=device_type,
        board=known.name if settings.simulate and known else real,
        ip=ip,
        tags=dict(settings.tags),
        simulated=settings.simulate,
        version=agent_version(),
        battery_wh=settings.battery_wh,
        solar_wh_per_day=settings.solar_wh_per_day,
        balena_uuid=os.environ.get("BALENA_DEVICE_UUID") or None,  # balenaOS gives it to every container
    )


def will(identity: Identity, interval_s: float) -> Will:
    """Return what the broker says when this session is lost."""
    lost = Status(online=False, session=identity.session, interval_s=interval_s, reason="lost")
    return Will(topic=STATUS.topic(identity.device_id), payload=STATUS.encode(lost))


def agent_version() -> str:
    """Return the installed version; empty in a bare checkout."""
    try:
        return version("edgewatt")
    except PackageNotFoundError:
        return ""


def compose(settings: Settings, *, identity: Identity, link: Link, parts: Parts) -> Agent:
    """Return the agent; it owns the serving thread, which `Agent.run` ends."""
    folder, now, board = settings.data, parts.now, parts.machine
    cadence = Cadence(folder / "config.json", Pace(interval_s=settings.interval_s, rate=settings.rate))
    store, journal = parts.store(folder / "models"), parts.journal(folder / "journal")
    if journal.quarantined:
        log.warning("%d journal files were damaged and set aside", journal.quarantined)
    server = parts.server(board.meter, rate=cadence.pace.rate, on_fault=_complain)
    fleetmate = Fleetmate(configured=frozenset(settings.allow_hosts))
    rules = Rules.of(settings)
    reporter = Reporter(
        identity=identity,
        cadence=cadence,
        journal=journal,
        store=store,
        server=server,
        runtimes=parts.runtime_infos,
        sensor=board.meter.sensor,
        power=board.power,
        now=now,
        folder=folder,
        governed=lambda: governor.state,
        policy=rules.tell,
    )
    reporter.refused.update({"journal_damaged": journal.quarantined} if journal.quarantined else {})
    outgoing = Outgoing(link, identity.device_id, status=reporter.status, info=reporter.info, state=reporter.state)
    log_lines = LogLines(outgoing.log, now=now)
    contents = Contents(
        store=store,
        downloader=parts.downloader,
        hosts=lambda: frozenset(rules.policy().only_hosts) or fleetmate.hosts,
        progress_every_s=settings.progress_s,
    )
    prover = parts.prover(
        runtimes=parts.runtimes, meter=board.meter, server=server, dress=board.dress, senses=board.power
    )
    installer = Installer(
        journal=journal,
        store=store,
        contents=contents,
        prover=prover,
        server=server,
        news=lambda entry: _tell(outgoing, entry),
        now=now,
        power=board.power,
        poll_s=settings.poll_s,
        trust=Trust.of(settings.verify_key),
        rules=rules,
        keep_bytes=round(settings.keep_mb * 1e6),
        governed=lambda: governor.needed,
    )
    governor = Governor(
        path=folder / "governor.json",
        store=store,
        server=server,
        cadence=cadence,
        load=installer.fallback.load,
        may_swap=lambda: not any(map(needs_what_runs, journal.unfinished())),
        power=board.power,
        now=now,
        news=outgoing.renew_state,
        every_s=settings.poll_s,
    )
    stop, lane = asyncio.Event(), Lane()
    commands = Commands(
        journal=journal,
        installer=installer,
        reporter=reporter,
        outgoing=outgoing,
        lane=lane,
        cadence=cadence,
        governor=governor,
        log_lines=log_lines,
        stop=stop,
    )
    desk = Desk(
        journal=journal,
        installer=installer,
        commands=commands,
        lane=lane,
        outgoing=outgoing,
        reporter=reporter,
        now=now,
        clock_is_set=parts.clock_is_set,
        controller_in_sight=lambda: fleetmate.in_sight,
        no_controller_s=settings.no_controller_s,
    )
    spool = Spool(
        Path(settings.spool) if settings.spool else folder / "spool", most_bytes=round(settings.spool_mb * 1e6)
    )
    history = History(spool=spool, outgoing=outgoing, cadence=cadence, fleetmate=fleetmate)
    sampler = Sampler(
        session=identity.session,
        server=server,
        cadence=cadence,
        outgoing=outgoing,
        history=history,
        sensor=board.meter.sensor,
        power=board.power,
        now=now,
        folder=folder,
        look=parts.look,
    )
    return Agent(
        device_id=identity.device_id,
        link=link,
        desk=desk,
        installer=installer,
        lane=lane,
        server=server,
        outgoing=outgoing,
        reporter=reporter,
        sampler=sampler,
        history=history,
        governor=governor,
        fleetmate=fleetmate,
        log_lines=log_lines,
        stop=stop,
        restart=commands.restart,
        delay=spread,
        duty=_duty(settings, journal, now),
    )


def _duty(settings: Settings, journal: Journal, now: Callable[[], float]) -> Duty | None:
    if settings.awake_s is None:
        return None
    return Duty(awake_s=settings.awake_s, sleep_s=settings.sleep_s, busy=lambda: is_busy(journal.unfinished()), now=now)


def _tell(outgoing: Outgoing, entry: Entry) -> None:
    outgoing.ack(entry.ack())


def _complain(said: str) -> None:
    log.error("an inference failed: %s", said)
