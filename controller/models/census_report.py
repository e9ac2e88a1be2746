"""Keeps what a census has found so far, a line of JSON a network, so that a stopped one goes on."""

import json
from dataclasses import asdict
from pathlib import Path

from controller.models.tracing import Trace

Finding = Trace | str
"""What a network computes, or why it is left out."""


class Report:
    """The findings in a file, of one version of timm; lines of other versions and a torn last line are passed over."""

    def __init__(self, path: Path, version: str) -> None:
        """Read what the file at `path` holds of timm `version`; a missing file holds nothing."""
        self._path = path
        self._version = version
        self._found: dict[str, Finding] = {}
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        self._torn = bool(text) and not text.endswith("\n")
        for line in text.splitlines():
            self._read(line)

    def get(self, name: str) -> Finding | None:
        """Return the finding on the network `name`; None when it was not looked at."""
        return self._found.get(name)

    def add(self, name: str, finding: Finding) -> None:
        """Write the `finding` on the network `name`."""
        self._found[name] = finding
        said = {"left_out": finding} if isinstance(finding, str) else asdict(finding)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write("\n" * self._torn + json.dumps({"timm": self._version, "model": name} | said) + "\n")
        self._torn = False

    def _read(self, line: str) -> None:
        try:
            said = json.loads(line)
            if said.pop("timm") == self._version:
                name = said.pop("model")
                self._found[name] = said["left_out"] if "left_out" in said else Trace(**said)
        except (ValueError, KeyError, TypeError, AttributeError):
            return
