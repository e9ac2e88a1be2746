"""Who of several controllers acts: whoever holds the database; the others stand by, and say who it is."""

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from broker.errors import StorageError
from controller.api.errors import answer
from controller.serving import served
from controller.settings import Settings
from controller.storage.database import Connection, connect
from controller.storage.store import Store

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
REMEMBERED = "active"
"""Under which name the active one tells who it is, beside what the lock guards."""


def announce(store: Store, url: str, epoch: str, at: float) -> None:
    """Tell those that stand by who acts; call it inside a transaction."""
    store.remember(REMEMBERED, {"url": url, "host": socket.gethostname(), "epoch": epoch, "since": at})


@dataclass(slots=True)
class Turn:
    """The wait for the database: the connection that will hold it, and what is known meanwhile.

    `pulse` and `status` tell the service manager that work goes on, here or where the turn is used.
    """

    settings: Settings
    connection: Connection | None = None
    active: dict[str, Any] | None = None
    fault: StorageError | None = None
    looks: int = 0
    pulse: Callable[[], int] = lambda: 0
    status: Callable[[], str] = lambda: "beginning"

    def beat(self) -> int:
        """Return what is another number when work has gone on."""
        return self.pulse()

    def in_words(self) -> str:
        """Return in one line how it stands."""
        return self.status()

    def open(self) -> None:
        """Connect, and ask for nothing yet. Raises StorageError."""
        self.connection = connect(self.settings.place)

    def take(self) -> Connection | None:
        """Return the connection once it holds the database, else note what stands in the way."""
        self.looks += 1
        try:
            if self.connection is None or self.connection.lost:
                self.open()
            assert self.connection is not None
            if self.connection.take():
                return self.connection
            self.active, self.fault = _active(self.connection), None
        except StorageError as error:
            self.active, self.fault = None, error
        return None

    async def wait(self, door: socket.socket, stopping: asyncio.Event) -> Connection | None:
        """Stand by behind `door` until it is our turn, and return the connection; None when told to stop."""
        taken = await asyncio.to_thread(self.take)
        if taken is not None or stopping.is_set():
            return taken
        logger.info("standing by: %s", self.said[0])
        self.pulse, self.status = lambda: self.looks, lambda: self.said[0]
        async with served(self, door, self.settings):
            while taken is None and not stopping.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), LOOK_EVERY_S)
                taken = await asyncio.to_thread(self.take)
        return taken

    def close(self) -> None:
        """End the connection, if there is one."""
        if self.connection is not None:
            self.connection.close()

    @property
    def said(self) -> tuple[str, str, str]:
        """Why this controller does nothing: a sentence, a code, what to do."""
        if self.fault is not None:
            return self.fault.message, self.fault.code, self.fault.hint
        hint = f"ask the active one: {self.active['url']}" if self.active else "ask again in a moment"
        return "this controller stands by; another one is active", "standby", hint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer that the process lives, and everything else with who is active (an ASGI application)."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1013})
        elif scope["path"] == "/livez":
            await JSONResponse({"success": True})(scope, receive, send)
        else:
            error, code, hint = self.said
            controller = {"role": "standby", "active": self.active}
            await answer(503, error, code, hint, controller=controller)(scope, receive, send)


def _active(connection: Connection) -> dict[str, Any] | None:
    """Return who acts, as it told; None before it has."""
    try:
        rows = connection.execute("SELECT value FROM remembered WHERE name = ?", [REMEMBERED]).fetchall()
    except (StorageError, connection.errors):  # it is about to make its tables
        return None
    return json.loads(rows[0][0]) if rows else None
