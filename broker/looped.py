"""A link over paho-mqtt without a thread: our loop owns the socket too, so one process can hold hundreds."""

import asyncio
import contextlib
import random
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from typing import Any, Self, cast

import paho.mqtt.client as mqtt

from broker.credentials import NOBODY, Credentials
from broker.link import Disconnected, Will
from broker.paho import FIRST_WAIT_S, LONGEST_WAIT_S, PahoLink

LOOKS_PER_KEEPALIVE = 4
"""How often within a keepalive paho is asked whether a ping is due."""


class LoopedLink(PahoLink):
    """The session of a `PahoLink`, driven by paho's socket callbacks.

    Connecting blocks (names, TLS), so it happens in `pool`, by default the loop's; everything else in the loop.
    """

    def __init__(
        self,
        url: str,
        client_id: str,
        *,
        will: Will | None = None,
        credentials: Credentials = NOBODY,
        keepalive_s: int = 30,
        pool: Executor | None = None,
        seed: int | None = None,
    ) -> None:
        """Prepare a session; `seed` fixes how long it waits between attempts to connect."""
        super().__init__(url, client_id, will=will, credentials=credentials, keepalive_s=keepalive_s)
        client = self._client
        client.on_socket_open = None  # it opens in the pool's thread
        client.on_socket_close = self._on_close
        client.on_socket_register_write = self._on_wants_write
        client.on_socket_unregister_write = self._on_wrote
        self._pool = pool
        self._draw = random.Random(seed)  # noqa: S311 - spreads a fleet's attempts
        self._way = asyncio.Event()
        self._way.set()
        self._lost = asyncio.Event()
        self._opening: asyncio.Future[Any] | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._watched: socket.socket | None = None
        self._waits_to_write = False
        self._misc: asyncio.TimerHandle | None = None
        self._served = False

    async def __aenter__(self) -> Self:
        """Start connecting; `events` says when it is done."""
        self._loop = asyncio.get_running_loop()
        self._keeping = asyncio.create_task(self._keep())
        return self

    async def close(self) -> None:
        """Disconnect cleanly, so that no Will is sent."""
        self._way.clear()
        if self._opening is not None:
            await asyncio.wait([self._opening])
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait([self._keeping])
        self._client.disconnect()
        while self._client.socket() is not None and self._client.want_write():
            self._client.loop_write()
            await asyncio.sleep(0)
        self._unwatch()
        self._fail_answers("closed")

    def cut(self) -> None:
        """Lose the connection without a goodbye, and find no way to the broker until `mend`."""
        self._way.clear()
        if self._watched is not None:
            with contextlib.suppress(OSError):
                self._watched.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Find the way to the broker again."""
        self._way.set()

    async def _keep(self) -> None:
        """Connect, and connect again whenever the connection is lost."""
        waits = self._waits()
        while True:
            await self._way.wait()
            self._lost.clear()
            if await self._open():
                await self._lost.wait()
                waits = self._waits() if self._served else waits
            else:
                self._put(self._client.failure)
            await asyncio.sleep(next(waits))

    async def _open(self) -> bool:
        """Return whether there is a socket; the broker's answer comes later."""
        assert self._loop is not None
        self._served = False
        self._opening = self._loop.run_in_executor(self._pool, self._client.reconnect)
        try:
            await self._opening
        except OSError:
            return False
        finally:
            self._opening = None
        self._watched = cast(socket.socket, self._client.socket())
        self._loop.add_reader(self._watched, self._read)
        self._expect_answer(self._watched)
        self._write()
        self._look()
        if not self._way.is_set():
            self.cut()
        return True

    def _waits(self) -> Iterator[float]:
        wait_s = FIRST_WAIT_S
        while True:
            yield wait_s * self._draw.uniform(0.5, 1.0)
            wait_s = min(wait_s * 2, LONGEST_WAIT_S)

    def _read(self) -> None:
        self._client.loop_read()
        pending = getattr(self._watched, "pending", None)
        if pending is not None and pending() and self._loop is not None:
            self._loop.call_soon(self._read)  # what TLS has read already wakes no selector

    def _write(self) -> None:
        """Write what waits, and come again when the socket takes more."""
        if self._watched is None:
            return
        self._client.loop_write()
        if self._watched is not None and self._client.want_write() and self._loop is not None:
            self._waits_to_write = True
            self._loop.add_writer(self._watched, self._client.loop_write)

    def _look(self) -> None:
        """Let paho ping, or notice that nobody answers."""
        self._client.loop_misc()
        if self._watched is not None and self._loop is not None:
            self._misc = self._loop.call_later(self._client.keepalive / LOOKS_PER_KEEPALIVE, self._look)

    def _unwatch(self) -> None:
        if self._watched is not None and self._loop is not None:
            self._loop.remove_reader(self._watched)
            self._loop.remove_writer(self._watched)
        self._watched, self._waits_to_write = None, False
        if self._misc is not None:
            self._misc.cancel()

    def _hop(self, call: Callable[..., None], *args: Any) -> None:
        """Run `call`: paho speaks in our loop already."""
        call(*args)

    def _came(self, event: Any) -> None:
        self._served = True
        super()._came(event)

    def _went(self, loss: Disconnected | None) -> None:
        super()._went(loss)
        self._lost.set()

    def _on_close(self, _client: mqtt.Client, _data: Any, _socket: Any) -> None:
        self._unwatch()

    def _on_wants_write(self, _client: mqtt.Client, _data: Any, _socket: Any) -> None:
        # while connecting we are in the pool's thread, and `_open` writes itself
        if self._watched is not None and self._loop is not None:
            self._loop.call_soon(self._write)

    def _on_wrote(self, _client: mqtt.Client, _data: Any, _socket: Any) -> None:
        if self._waits_to_write and self._watched is not None and self._loop is not None:
            self._waits_to_write = False
            self._loop.remove_writer(self._watched)
