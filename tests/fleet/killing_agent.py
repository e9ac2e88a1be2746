"""The real agent, except that it kills itself at the n-th write of its journal: `KILL_AT=7 KILL_SIDE=before`."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from broker.messages import RuntimeInfo
from broker.paho import PahoLink
from edge_agent.compose import Parts, compose, identify, machine, will
from edge_agent.download import Downloader, Patience
from edge_agent.journal import Journal
from edge_agent.runtimes.onnx import OnnxRuntime
from edge_agent.settings import Settings


class KillingRename:
    """Renames like `os.replace`; dies at the rename number `at`, `before` or `after` it."""

    def __init__(self, at, side):
        self.at, self.side, self.count = at, side, 0

    def __call__(self, source, target):
        self.count += 1
        if self.count == self.at and self.side == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        source.replace(target)
        if self.count == self.at and self.side == "after":
            os.kill(os.getpid(), signal.SIGKILL)


async def main(device_id, broker, folder):
    rename = KillingRename(int(os.environ.get("KILL_AT", "0")), os.environ.get("KILL_SIDE", ""))
    settings = Settings(
        id=device_id,
        broker=broker,
        data=Path(folder),
        device_type="raspberry_pi_5",
        simulate=True,
        rate=20.0,
        interval_s=0.5,
        progress_s=0.0,
    )
    identity = identify(settings)
    patience = Patience(timeout_s=3, first_wait_s=0.05, most_wait_s=0.2, give_up_s=20)
    parts = Parts(
        runtimes=(OnnxRuntime(),),
        runtime_infos=(RuntimeInfo(name="onnxruntime", version="1", formats=("onnx",)),),
        machine=machine(settings, "raspberry_pi_5"),
        downloader=Downloader(patience=patience),
        journal=lambda path: Journal(path, rename=rename),
    )
    async with PahoLink(broker, device_id, will=will(identity, 0.5)) as link:
        agent = compose(settings, identity=identity, link=link, parts=parts)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, agent.stop.set)
        await agent.run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
