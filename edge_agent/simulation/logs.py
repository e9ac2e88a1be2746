"""Gives each of many agents in one process its own log lines."""

import logging
from contextvars import ContextVar

from edge_agent.loglines import LogLines

_LINES: ContextVar[LogLines | None] = ContextVar("lines", default=None)


class ByDevice(logging.Handler):
    """Hands a record to the log lines of the agent in whose task, or in whose work's thread, it was made."""

    def emit(self, record: logging.LogRecord) -> None:
        """Pass `record` on; one that belongs to no agent is nobody's."""
        lines = _LINES.get()
        if lines is not None and record.levelno >= lines.level:
            lines.emit(record)


def belong_to(lines: LogLines) -> None:
    """Let what is logged from now on in this task, and in those it starts, belong to the agent of `lines`."""
    _LINES.set(lines)
