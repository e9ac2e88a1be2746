"""Carries log lines to the broker, not faster than allowed, and says how many it held back."""

import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Literal

from broker.messages import LogLine

BURST, PER_SECOND = 20.0, 2.0
REMEMBERED = 200
LONGEST = 1_000

Level = Literal["debug", "info", "warning", "error"]
_LEVELS: tuple[tuple[int, Level], ...] = (
    (logging.ERROR, "error"),
    (logging.WARNING, "warning"),
    (logging.INFO, "info"),
)


class LogLines(logging.Handler):
    """A logging handler that hands LogLines to `send` and remembers the newest for the op `logs`."""

    def __init__(self, send: Callable[[LogLine], None], *, now: Callable[[], float] = time.time) -> None:
        """Send through `send`, which must not log."""
        super().__init__(logging.INFO)
        self.newest: deque[LogLine] = deque(maxlen=REMEMBERED)
        self._send = send
        self._now = now
        self._tokens, self._filled_at = BURST, now()
        self._dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Send `record`, or count it as dropped."""
        line = LogLine(
            ts=self._now(),
            level=next((word for number, word in _LEVELS if record.levelno >= number), "debug"),
            msg=record.getMessage()[:LONGEST],
            cmd_id=getattr(record, "cmd_id", None),
            dropped=self._dropped,
        )
        self.newest.append(line)
        if self._allowed():
            self._dropped = 0
            self._send(line)
        else:
            self._dropped += 1

    def _allowed(self) -> bool:
        now = self._now()
        self._tokens = min(BURST, self._tokens + max(now - self._filled_at, 0.0) * PER_SECOND)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
