"""What a worker says on its standard output: JSON lines, of which anything may be garbage."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from controller.workshop.jobs import Failed, Told

LONGEST_LINE_BYTES = 65_536
LONGEST_WORDS = 200
LONGEST_MESSAGE = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The worker says that the file is at `path`, and what it is."""

    path: str
    about: dict[str, Any]


Line = Told | Result | Failed


@dataclass(slots=True)
class Lines:
    """Cuts a stream of bytes into lines; what is longer than a line may be is dropped and counted."""

    dropped: int = 0
    _rest: bytearray = field(default_factory=bytearray)
    _overlong: bool = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Give the lines that `chunk` completes, without their ends."""
        *whole, rest = chunk.split(b"\n")
        for part in whole:
            self._keep(part)
            if self._overlong:
                self.dropped += 1
            else:
                yield bytes(self._rest)
            self._rest.clear()
            self._overlong = False
        self._keep(rest)

    def _keep(self, part: bytes) -> None:
        if self._overlong or len(self._rest) + len(part) > LONGEST_LINE_BYTES:
            self._overlong = True
            self._rest.clear()
        else:
            self._rest += part


def read(line: bytes) -> Line | None:
    """Return what `line` says, or None for what is no line of a worker."""
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    result, error = said.get("result"), said.get("error")
    if isinstance(result, dict):
        return _result(result)
    if isinstance(error, dict):
        return _failed(error)
    return _told(said)


def _result(said: dict[str, Any]) -> Result | None:
    path, about = said.get("path"), said.get("about", {})
    return Result(path=path, about=about) if isinstance(path, str) and isinstance(about, dict) else None


def _failed(said: dict[str, Any]) -> Failed | None:
    code, message, hint = said.get("code"), said.get("message"), said.get("hint")
    if not isinstance(code, str) or not isinstance(message, str):
        return None
    return Failed(
        code=code[:LONGEST_WORDS],
        message=message[:LONGEST_MESSAGE],
        hint=hint[:LONGEST_MESSAGE] if isinstance(hint, str) else "",
    )


def _told(said: dict[str, Any]) -> Told | None:
    progress, words = said.get("progress"), said.get("step", "")
    if isinstance(progress, bool) or not isinstance(progress, (int, float)) or not isinstance(words, str):
        return None
    if not math.isfinite(progress) or not 0 <= progress <= 1:
        return None
    return Told(progress=float(progress), step=words[:LONGEST_WORDS])
