"""Asks a worker for a file as the controller does: a request file in, JSON lines out."""

import json
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec

import pytest

from controller.workshop.worker import NEEDED

MISSING = [name for name in NEEDED if find_spec(name) is None]
WITH_TORCH = pytest.mark.skipif(bool(MISSING), reason=f"the extra `models` is not installed: {', '.join(MISSING)}")


@dataclass(frozen=True)
class Worked:
    """What a worker said, line by line, and its exit status."""

    lines: list
    status: int
    log: str

    @property
    def result(self):
        return self.lines[-1]["result"]

    @property
    def error(self):
        return self.lines[-1]["error"]


def work(folder, request, *, environment=None):
    """Run a worker with `request`, a document or a text."""
    path = folder / "request.json"
    path.write_text(request if isinstance(request, str) else json.dumps({"out": str(folder / "out"), **request}))
    done = subprocess.run(
        [sys.executable, "-m", "controller.workshop.worker", str(path)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=environment,
    )
    return Worked([json.loads(line) for line in done.stdout.splitlines()], done.returncode, done.stderr)
