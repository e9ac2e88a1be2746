"""Ends what a reboot interrupted: the active model runs again, and every open command goes on or ends."""

import logging

from broker.commands import Fault
from broker.errors import EdgeWattError
from broker.phases import Phase
from edge_agent.desk import Desk
from edge_agent.install import COMMITTED, MOST_CRASHES, Installer
from edge_agent.journal import Entry
from edge_agent.outgoing import Outgoing

SAID_AGAIN = 4
"""Newest ended commands whose end is said again, for the case that the reboot came between journal and ack."""

log = logging.getLogger(__name__)


async def replay(desk: Desk, installer: Installer, outgoing: Outgoing) -> None:
    """Bring everything in the journal back to work, or to its end."""
    ended = [entry for entry in desk.journal.newest() if entry.terminal][:SAID_AGAIN]
    for entry in reversed(ended):
        outgoing.ack(entry.ack())
    await _serve_active(installer)
    for entry in desk.journal.unfinished():
        await _again(entry, desk, installer, outgoing)


async def _again(entry: Entry, desk: Desk, installer: Installer, outgoing: Outgoing) -> None:
    crashes = entry.crashes + 1 if installer.crashed(entry) else entry.crashes
    if entry.op != "deploy":
        said = "the agent restarted in the middle of it"
        failed = desk.journal.begin_again(entry.id, Phase.ACCEPTED, now=desk.now())
        fault = Fault(code="interrupted", msg=said, retryable=True)
        failed = desk.journal.move(entry.id, Phase.FAILED, now=desk.now(), reason=said, error=fault)
        outgoing.ack(failed.ack())
        return
    if crashes >= MOST_CRASHES:
        said = f"the device went down {crashes} times while {entry.phase}"
        fault = Fault(code="crash_loop", msg=said)
        desk.journal.begin_again(
            entry.id, Phase.ROLLING_BACK, now=desk.now(), crashes=crashes, reason=said, error=fault
        )
        await installer.roll_back(entry.id, fault)
        return
    phase = entry.phase if entry.phase in {*COMMITTED, Phase.ROLLING_BACK} else Phase.ACCEPTED
    again = desk.journal.begin_again(entry.id, phase, now=desk.now(), crashes=crashes)
    outgoing.ack(again.ack())
    desk.resume(again)


async def _serve_active(installer: Installer) -> None:
    """Run the active model again; when it does not load any more, the previous one."""
    slots = installer.store.slots
    installer.server.want(running=not slots.stopped)
    for held in (slots.active, slots.previous):
        if held is None:
            continue
        try:
            await installer.serve(held)
        except EdgeWattError as error:
            log.error("%s does not load any more: %s", held.model.model, error.message)  # noqa: TRY400 - a sentence, no stack trace
            if held is slots.active:
                installer.store.fall_back()
            continue
        return
