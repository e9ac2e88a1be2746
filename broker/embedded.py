"""The broker that needs no installation: amqtt, with its known defects repaired, for one machine and loopback.

`python -m broker.embedded --port 1883` runs it. Mosquitto is the choice beyond some hundred devices.
"""

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Coroutine
from importlib.metadata import version
from typing import Any

import amqtt.broker
from amqtt.adapters import ReaderAdapter, WriterAdapter
from amqtt.broker import Broker
from amqtt.errors import AMQTTError, BrokerError, MQTTError
from amqtt.mqtt.connack import NOT_AUTHORIZED, ConnackPacket
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.plugins.base import BaseAuthPlugin
from amqtt.session import Session

from broker.topics import BROKER_VERSION

NAME = "EdgeWatt's embedded broker"
CONNECT_TIMEOUT_S = 10
LET_GO_S = 5
"""How long an older connection may take to end before its session is forgotten."""


class AllowAll(BaseAuthPlugin):
    """Accept everyone as a named client, so that sessions persist; loopback is the border."""

    async def authenticate(self, *, session: Session) -> bool:
        """Return True for every `session`."""
        return bool(session)


class Handler(BrokerProtocolHandler):
    """One client's connection; it times out, and is checked before it touches anyone's session."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Begin as amqtt does; `over` is set when the session was let go."""
        super().__init__(*arguments, **options)
        self.over = asyncio.Event()
        self._behind: set[asyncio.Task[None]] = set()

    def beside(self, work: Coroutine[Any, Any, None]) -> None:
        """Do `work` without making the client's next words wait for it."""
        task = asyncio.create_task(work)
        self._behind.add(task)
        task.add_done_callback(self._behind.discard)

    def handle_read_timeout(self) -> None:
        """End a client that kept silent for one and a half keepalives, so that its Will is sent."""
        self._ending = asyncio.ensure_future(self.handle_connection_closed())

    @classmethod
    async def init_from_connect(
        cls, reader: ReaderAdapter, writer: WriterAdapter, plugins_manager: Any, loop: Any = None
    ) -> tuple[BrokerProtocolHandler, Session]:
        """Read CONNECT within ten seconds and authenticate at once. Raises MQTTError."""
        connecting = super().init_from_connect(reader, writer, plugins_manager, loop)
        try:
            handler, session = await asyncio.wait_for(connecting, CONNECT_TIMEOUT_S)
        except TimeoutError:
            await writer.close()
            raise MQTTError("no CONNECT in time") from None
        except (AMQTTError, ValueError, IndexError, EOFError) as error:
            await writer.close()
            raise MQTTError(f"bad CONNECT: {error}") from error
        if session.keep_alive:
            session.keep_alive += session.keep_alive // 2
        broker: HardenedBroker = plugins_manager.context._broker_instance  # noqa: SLF001 - amqtt offers no other way
        if not await broker.admits(session):
            await ConnackPacket.build(0, NOT_AUTHORIZED).to_stream(writer)
            await writer.close()
            raise MQTTError("not authorized")
        await broker.end_older(session)
        return handler, session

    async def _retry_deliveries(self) -> None:
        """Send again what was not acknowledged; amqtt would read nothing until it is, or five seconds are over."""
        self.beside(super()._retry_deliveries())


class HardenedBroker(Broker):
    """amqtt's broker without the session theft, the lingering sockets and the retained messages of others."""

    async def admits(self, session: Session) -> bool:
        """Return whether the authentication plugins accept `session`."""
        return bool(await super()._authenticate(session, self.listeners_config["default"]))

    async def end_older(self, session: Session) -> None:
        """End the connection that the client of `session` left behind, while the Will is still that one's own.

        amqtt would mark the session as gone after the new connection has taken it: a client that nobody hears.
        """
        client_id = session.client_id or ""
        while client_id in self._sessions:
            held, older = self._sessions[client_id]
            if not isinstance(older, Handler) or not held.transitions.is_connected():
                return
            try:
                async with asyncio.timeout(LET_GO_S):
                    await older.handle_connection_closed()
                    await older.over.wait()
            except TimeoutError:
                self._sessions.pop(client_id, None)
                await self._del_all_subscriptions(held)

    async def _handle_disconnect(
        self, client_session: Session, handler: BrokerProtocolHandler, disconnect_waiter: asyncio.Future[Any]
    ) -> None:
        """Let go of the session, and say so."""
        await super()._handle_disconnect(client_session, handler, disconnect_waiter)
        if isinstance(handler, Handler):
            handler.over.set()

    async def _publish_session_retained_messages(self, session: Session) -> None:
        """Send what came while the client was away, and meanwhile listen to it."""
        handler = self._get_handler(session)
        if isinstance(handler, Handler):
            handler.beside(super()._publish_session_retained_messages(session))

    async def _authenticate(self, session: Session, _: Any) -> bool:
        """Say yes: `admits` was asked before any session state was touched."""
        return bool(session)

    async def _delete_session(self, client_id: str) -> None:
        """Close the old socket before its session goes."""
        _, handler = self._sessions.get(client_id, (None, None))
        if handler is not None:
            await handler.handle_connection_closed()
            await handler.stop()
        await super()._delete_session(client_id)

    async def _publish_retained_messages_for_subscription(
        self, subscription: tuple[str, int], session: Session
    ) -> None:
        """Send retained messages only to a session that holds the subscription."""
        if any(holder is session for holder, _ in self._subscriptions.get(subscription[0], ())):
            await super()._publish_retained_messages_for_subscription(subscription, session)


async def serve(host: str, port: int) -> None:
    """Run the broker on `host`:`port` until SIGTERM or SIGINT. Raises BrokerError when it cannot listen."""
    amqtt.broker.BrokerProtocolHandler = Handler
    config = {
        "listeners": {"default": {"type": "tcp", "bind": f"{host}:{port}"}},
        "plugins": {"broker.embedded.AllowAll": {}},
    }
    broker = HardenedBroker(config)
    await broker.start()
    await broker.retain_message(None, BROKER_VERSION, f"{NAME} (amqtt {version('amqtt')})".encode())
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    print(f"broker ready on {host}:{port}", flush=True)
    await stop.wait()
    await broker.shutdown()


def main() -> int:
    """Parse the arguments and serve; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m broker.embedded", description="EdgeWatt's embedded MQTT broker")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=1883)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("amqtt").setLevel(logging.CRITICAL)  # it logs a stack trace for each rude client
    try:
        asyncio.run(serve(arguments.host, arguments.port))
    except (BrokerError, OSError) as error:
        print(f"cannot listen on {arguments.host}:{arguments.port}: {error}; choose another --port", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    # Run as the module that its own plugin path names, so that there is one copy of its classes.
    from broker.embedded import main as run

    sys.exit(run())
