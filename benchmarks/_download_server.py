"""A controller of one file for a benchmark: `FOLDER PORT DEVICES`; the address of each device is put into FOLDER."""

import asyncio
import json
import signal
import socket
import sys
import time
from pathlib import Path

from broker.memory import MemoryHub
from controller.api.app import create
from controller.api.parts import Parts
from controller.api.zero_copy import zero_copy
from controller.downloads import take_open_files
from controller.program import compose
from controller.serving import listening, served
from controller.settings import Settings
from controller.storage.store import Store


def serve(folder: Path, port: int, devices: int) -> None:
    """Serve the only file of the folder, by the application that a controller runs, to who has an address."""
    take_open_files()
    settings = Settings(data=folder / "data", port=port, behind_proxy=True)
    store = Store(folder / "controller.db")
    parts = compose(settings, store, MemoryHub().link("bench"), "e1")
    [content] = (folder / "served" / "models" / "sha256").iterdir()
    added = parts.service.artifacts.add(content, model="bench", format="tflite")
    parts.door.tokens.create("bench", "admin", time.time())
    with store.transaction():
        for number in range(devices):
            store.add_device(f"pi5-{number}", time.time(), approved=True)
    urls = [parts.door.urls.of(added.sha256, f"pi5-{number}", time.time()) for number in range(devices)]
    base = parts.door.urls.base_url
    (folder / "addresses.json").write_text(json.dumps([url.removeprefix(base) for url in urls]))
    with listening("127.0.0.1", port) as door:
        asyncio.run(_served(parts, door, settings))


async def _served(parts: Parts, door: socket.socket, settings: Settings) -> None:
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    async with served(zero_copy(create(parts)), door, settings):
        await over.wait()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
