"""The real agent as a process that kills itself at a write of its journal, and otherwise does what it was told."""

import asyncio
import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from broker.messages import PowerState, RuntimeInfo
from broker.paho import PahoLink
from edge_agent.compose import Machine, Parts, compose, identify, machine, will
from edge_agent.download import Downloader, Patience
from edge_agent.journal import Journal
from edge_agent.runtimes.onnx import OnnxRuntime
from edge_agent.settings import Settings

HOT, COOL = PowerState(temp_c=95.0), PowerState(temp_c=40.0)


@dataclass(frozen=True, kw_only=True)
class Death:
    """`kill -9` at the write number `at` of the command `of`, `before` it is on disk or right `after` it.

    Without `of` every write counts.
    """

    at: int = 0
    side: str = ""
    of: str = ""


class KillingRename:
    """Renames like `os.replace` until it dies; `hears` is told of each phase before it is on disk."""

    def __init__(self, death, hears):
        self.death, self.hears, self.count = death, hears, 0

    def __call__(self, source, target):
        counts = self.death.of in ("", target.stem)
        self.count += counts
        dies = counts and self.count == self.death.at
        self.hears(json.loads(source.read_bytes())["phase"])
        if dies and self.death.side == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        source.replace(target)
        if dies and self.death.side == "after":
            os.kill(os.getpid(), signal.SIGKILL)


class MoodyBoard:
    """A simulated board: `hot` for ever ("always") or until something waits ("once"), `hungry` in a soak."""

    def __init__(self, settings, hot, hungry):
        self.plain, self.hot, self.hungry = machine(settings, "raspberry_pi_5"), hot, hungry

    @property
    def machine(self):
        return Machine(meter=self.plain.meter, power=lambda: HOT if self.hot else COOL, dress=self.plain.dress)

    def hears(self, phase):
        if phase == "waiting" and self.hot == "once":
            self.hot = ""
        if phase == "soaking" and self.hungry:
            self.plain.meter.read_mw = lambda: 1e9


async def work(device_id, broker, folder, death, *, hot="", hungry=False):
    """Run the agent until SIGTERM."""
    settings = Settings(
        id=device_id,
        broker=broker,
        data=Path(folder),
        device_type="raspberry_pi_5",
        simulate=True,
        rate=20.0,
        interval_s=0.5,
        progress_s=0.0,
        poll_s=0.05,
    )
    identity = identify(settings)
    board = MoodyBoard(settings, hot, hungry)
    patience = Patience(timeout_s=3, first_wait_s=0.05, most_wait_s=0.2, give_up_s=20)
    parts = Parts(
        runtimes=(OnnxRuntime(),),
        runtime_infos=(RuntimeInfo(name="onnxruntime", version="1", formats=("onnx",)),),
        machine=board.machine,
        clock_is_set=lambda: True,
        downloader=Downloader(patience=patience),
        journal=lambda path: Journal(path, rename=KillingRename(death, board.hears)),
    )
    async with PahoLink(broker, device_id, will=will(identity, 0.5)) as link:
        agent = compose(settings, identity=identity, link=link, parts=parts)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, agent.stop.set)
        await agent.run()


def live(device_id, broker, folder, death, more):
    """Begin a life of the agent in this process; what it says goes to the log in `folder`."""
    log = os.open(Path(folder) / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    asyncio.run(work(device_id, broker, folder, death, **more))
