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

MANY = """
import json, sys
from dataclasses import asdict
from pathlib import Path
from broker.errors import EdgeWattError
from controller.workshop.making import make
from controller.workshop.request import read_request
for path in map(Path, sys.argv[1:]):
    steps = []
    try:
        made = make(read_request(path), lambda done, step: steps.append(step))
        said = {"result": {"path": str(made.path), "about": asdict(made.about)}, "steps": steps}
    except EdgeWattError as error:
        said = {"error": {"code": error.code, "message": error.message, "hint": error.hint}}
    path.with_suffix(".said").write_text(json.dumps(said))
"""
"""The inside of a worker for several requests: PyTorch is imported once."""


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
    path = written(folder, "request", request)
    done = run([sys.executable, "-m", "controller.workshop.worker", str(path)], environment)
    return Worked([json.loads(line) for line in done.stdout.splitlines()], done.returncode, done.stderr)


def work_all(folder, requests, *, environment=None):
    """Return how each of `requests` ended, one after the other in one process: a result or an error."""
    paths = [written(folder, f"request-{i}", request) for i, request in enumerate(requests)]
    done = run([sys.executable, "-c", MANY, *map(str, paths)], environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(path.with_suffix(".said").read_text()) for path in paths]


def written(folder, name, request):
    path = folder / f"{name}.json"
    path.write_text(request if isinstance(request, str) else json.dumps({"out": str(folder / "out"), **request}))
    return path


def run(command, environment=None):
    return subprocess.run(command, capture_output=True, text=True, timeout=500, check=False, env=environment)
