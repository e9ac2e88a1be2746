"""Ends what a reboot interrupted: the active model runs again, and every open command goes on or ends."""

import contextlib
import logging

from broker.commands import Fault
from broker.errors import EdgeWattError, StorageError
from broker.phases import Phase
from edge_agent.desk import Desk
from edge_agent.fallback import COMMITTED
from edge_agent.install import MOST_CRASHES, Installer
from edge_agent.journal import Entry
from edge_agent.outgoing import Outgoing
from edge_agent.work import Work

SAID_AGAIN = 4
"""Newest ended commands whose end is said again, for the case that the reboot came between journal and ack."""

log = logging.getLogger(__name__)


async def replay(desk: Desk, installer: Installer, outgoing: Outgoing) -> None:
    """Bring everything in the journal back to work, or to its end."""
    ended = [entry for entry in desk.journal.newest() if entry.terminal][:SAID_AGAIN]
    for entry in reversed(ended):
        outgoing.ack(entry.ack())
    installer.server.want(running=not installer.store.slots.stopped)
    unfinished = desk.journal.unfinished()
    if not any(entry.phase is Phase.ROLLING_BACK for entry in unfinished):  # a rollback serves the right one itself
        await _serve_active(installer)
    for entry in unfinished:
        try:
            _again(entry, desk, installer, outgoing)
        except StorageError as full:
            log.warning("cannot go on with %s: %s", entry.id, full.message)
            _later(entry, desk, installer, outgoing)
    installer.clear_ended()


def _later(entry: Entry, desk: Desk, installer: Installer, outgoing: Outgoing) -> None:
    """Go on with `entry` as soon as the disk takes its new life down."""

    async def job(work: Work) -> None:
        while True:
            await work.rest(installer.poll_s)
            try:
                _again(entry, desk, installer, outgoing)
            except StorageError:
                continue
            return

    desk.lane.begin(entry.id, job, alone=False)


def _again(entry: Entry, desk: Desk, installer: Installer, outgoing: Outgoing) -> None:
    if entry.op == "cancel" and entry.command is not None and entry.command.target is not None:
        desk.resume(desk.journal.begin_again(entry.id, Phase.ACCEPTED, now=desk.now()))
        return
    if entry.op != "deploy":
        said = "the agent restarted in the middle of it"
        failed = desk.journal.begin_again(entry.id, Phase.ACCEPTED, now=desk.now())
        fault = Fault(code="interrupted", msg=said, retryable=True)
        failed = desk.journal.move(entry.id, Phase.FAILED, now=desk.now(), reason=said, error=fault)
        outgoing.ack(failed.ack())
        return
    crashes = entry.crashes + 1 if installer.crashed(entry) else entry.crashes
    looped = crashes >= MOST_CRASHES and entry.ending is None
    phase = entry.phase if entry.phase in {*COMMITTED, Phase.ROLLING_BACK} else Phase.ACCEPTED
    news = {}
    if looped and entry.phase is not Phase.ROLLING_BACK:
        said = f"the device went down {crashes} times while {entry.phase}"
        phase, news = Phase.ROLLING_BACK, {"reason": said, "error": Fault(code="crash_loop", msg=said)}
    again = desk.journal.begin_again(entry.id, phase, now=desk.now(), crashes=crashes, **news)
    outgoing.ack(again.ack())
    desk.resume(again)


async def _serve_active(installer: Installer) -> None:
    """Run the active model again; when it does not load any more, the previous one."""
    slots = installer.store.slots
    for held in (slots.active, slots.previous):
        if held is None:
            continue
        try:
            await installer.fallback.serve(held)
        except EdgeWattError as error:
            log.error("%s does not load any more: %s", held.model.model, error.message)  # noqa: TRY400 - a sentence, no stack trace
            if held is slots.active:
                with contextlib.suppress(StorageError):
                    installer.store.fall_back()
            continue
        return
