"""Keeps what a model answered, a JSON line per input, in a file that never grows beyond its limit."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from broker.errors import EdgeWattError
from broker.wire import document
from edge_agent.files import storage_error
from edge_agent.inputs.source import Outcome

MOST_BYTES = 5_000_000
"""Of the file being written, and of the one before it: some 25,000 answers each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """The lines at `path`; a full file becomes `<path>.1`, whose older lines are forgotten then."""

    path: Path
    most_bytes: int = MOST_BYTES
    now: Callable[[], float] = time.time

    def answered(self, name: str, outcome: Outcome) -> None:
        """Add what came out; raises StorageError."""
        top = [document(each) for each in outcome.top]
        figures: dict[str, Any] = {"latency_ms": round(outcome.latency_ms, 4)}
        if outcome.energy_mj is not None:
            figures |= {"energy_mj": round(outcome.energy_mj, 4), "energy_source": outcome.energy_source}
        model = {"model": outcome.model.model, "artifact_sha256": outcome.model.artifact_sha256}
        self._add({"ts": round(self.now(), 3), "input": name, **model, "top": top, **figures})

    def refused(self, name: str, error: EdgeWattError) -> None:
        """Add why there is no answer; raises StorageError."""
        said = {"error": error.message, "code": error.code}
        self._add({"ts": round(self.now(), 3), "input": name, **said})

    def _add(self, line: dict[str, Any]) -> None:
        data = json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.exists() and self.path.stat().st_size + len(data) > self.most_bytes:
                self.path.replace(self.path.with_name(self.path.name + ".1"))
            with self.path.open("ab") as file:
                file.write(data)
        except OSError as error:
            raise storage_error(error, self.path) from error
