"""A Mosquitto of the benchmark's own, which ends with it."""

import contextlib
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from broker.tied import dies_with_us
from controller.cli.ports import some_free
from controller.cli.readiness import answers_mqtt, wait_until
from controller.cli.stack import find_mosquitto

READY_S = 20.0


@contextlib.contextmanager
def mosquitto(folder: Path) -> Iterator[int]:
    """Run one with its configuration in `folder`, and yield its port."""
    [port] = some_free(1)
    configuration = folder / "mosquitto.conf"
    configuration.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n")
    command = [find_mosquitto(), "-c", str(configuration)]
    tie = dies_with_us()
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, preexec_fn=tie) as process:  # noqa: PLW1509 - no thread yet
        try:
            if not wait_until(partial(answers_mqtt, port), within_s=READY_S):
                raise SystemExit("mosquitto does not answer")
            yield port
        finally:
            process.terminate()
