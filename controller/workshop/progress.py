"""How a worker speaks to the controller: JSON lines on what was its standard output, which nobody else can reach."""

import json
import os
import sys
from collections.abc import Callable
from typing import Any, TextIO

Tell = Callable[[float, str], None]
"""Takes how much is done, 0 to 1, and what is done now in words for people."""


class Line:
    """The standard output of this process, taken away from everything else: what libraries print goes to the log."""

    def __init__(self) -> None:
        """Keep the standard output, and let descriptor 1 lead to standard error."""
        self._file: TextIO = os.fdopen(os.dup(1), "w", encoding="utf-8")
        sys.stdout.flush()
        os.dup2(2, 1)

    def progress(self, done: float, step: str) -> None:
        """Say how far the work is."""
        self._say({"progress": round(done, 3), "step": step})

    def result(self, path: str, about: dict[str, Any]) -> None:
        """Say where the finished file lies; nothing follows."""
        self._say({"result": {"path": path, "about": about}})

    def error(self, code: str, message: str, hint: str, facts: dict[str, Any]) -> None:
        """Say why there is no file; nothing follows."""
        self._say({"error": {"code": code, "message": message, "hint": hint, **facts}})

    def _say(self, document: dict[str, Any]) -> None:
        print(json.dumps(document), file=self._file, flush=True)  # this is the worker's answer
