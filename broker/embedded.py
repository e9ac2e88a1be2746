"""The broker that needs no installation: amqtt, with its known defects repaired; beyond loopback with TLS and users.

`python -m broker.embedded --port 1883` runs it. Mosquitto is the choice beyond some hundred devices.
"""

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Coroutine
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import amqtt.broker
from amqtt.adapters import ReaderAdapter, WriterAdapter
from amqtt.broker import Broker
from amqtt.contexts import Action
from amqtt.errors import AMQTTError, BrokerError, MQTTError
from amqtt.mqtt.connack import NOT_AUTHORIZED, ConnackPacket
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.plugins.base import BaseAuthPlugin
from amqtt.session import Session

from broker.door import Door
from broker.errors import EdgeWattError, InvalidError
from broker.hosts import is_loopback
from broker.topics import BROKER_VERSION, OPERATOR

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


class GuardedBroker(HardenedBroker):
    """The same with users and rights: a session is its user's, whatever client id it claims; people have several."""

    def __init__(self, config: dict[str, Any], door: Door) -> None:
        """Let in whom `door` knows."""
        super().__init__(config)
        self._door = door

    async def admits(self, session: Session) -> bool:
        """Return whether the user of `session` is known; its Will goes to no other's topic."""
        if not self._door.knows(session.username, session.password):
            return False
        user = session.username or ""
        session.client_id = f"{user}/{session.client_id}" if self._door.is_person(user) else user
        if session.will_flag and not self._door.may_publish(session.username or "", session.will_topic or ""):
            session.will_flag = False
        return True

    async def look_again(self) -> None:
        """Read the users again, and end the sessions of those who are gone or have another password."""
        self._door.read()
        for session, handler in tuple(self._sessions.values()):
            if session.transitions.is_connected() and not self._door.knows(session.username, session.password):
                await handler.handle_connection_closed()

    async def _topic_filtering(self, session: Session, topic: str, action: Action) -> bool:
        """Return what the rights of the session's user say."""
        ask = {
            Action.PUBLISH: self._door.may_publish,
            Action.SUBSCRIBE: self._door.may_subscribe,
            Action.RECEIVE: self._door.may_receive,
        }[action]
        return ask(session.username or "", topic)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What a broker beyond loopback needs: a certificate with its key, and a file of users; `operators` are people."""

    cert_file: Path
    key_file: Path
    users: Path
    operators: tuple[str, ...] = (OPERATOR,)
    people_port: int | None = None


async def serve(host: str, port: int, keys: Keys | None = None, pid_file: Path | None = None) -> None:
    """Run the broker on `host`:`port` until SIGTERM or SIGINT; with `keys` SIGHUP reads the users again.

    Raises BrokerError when it cannot listen, InvalidError when the users cannot be read.
    """
    amqtt.broker.BrokerProtocolHandler = Handler
    listeners: dict[str, dict[str, Any]] = {"default": {"type": "tcp", "bind": f"{host}:{port}"}}
    if keys and keys.people_port:
        listeners["people"] = {"type": "tcp", "bind": f"{host}:{keys.people_port}"}
    if keys:
        tls = {"ssl": True, "certfile": str(keys.cert_file), "keyfile": str(keys.key_file)}
        listeners = {name: listener | tls for name, listener in listeners.items()}
    config = {"listeners": listeners, "plugins": {"broker.embedded.AllowAll": {}}}
    broker = GuardedBroker(config, Door(keys.users, keys.operators)) if keys else HardenedBroker(config)
    await broker.start()
    await broker.retain_message(None, BROKER_VERSION, f"{NAME} (amqtt {version('amqtt')})".encode())
    stop, again = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, again.set)
    looking = asyncio.create_task(_look_when(broker, again))
    if pid_file:
        await asyncio.to_thread(pid_file.write_text, f"{os.getpid()}\n")
    print(f"broker ready on {host}:{port}", flush=True)
    await stop.wait()
    looking.cancel()
    await broker.shutdown()


async def _look_when(broker: HardenedBroker, again: asyncio.Event) -> None:
    while True:
        await again.wait()
        again.clear()
        if isinstance(broker, GuardedBroker):
            await broker.look_again()


def main() -> int:
    """Parse the arguments and serve; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m broker.embedded", description="EdgeWatt's embedded MQTT broker")
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="where it listens; others than this machine need the three files")
    add("--port", type=int, default=1883)
    add("--cert-file", type=Path, help="its certificate (PEM)")
    add("--key-file", type=Path, help="the key of it (PEM)")
    add("--users", type=Path, metavar="FILE", help="who may connect, in Mosquitto's format")
    add("--operator", action="append", metavar="NAME", help="a user who is a person (default operator)")
    add("--people-port", type=int, help="another port, as people are used to from Mosquitto")
    add("--pid-file", type=Path, help="where its process id goes; SIGHUP reads the users again")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("amqtt").setLevel(logging.CRITICAL)  # it logs a stack trace for each rude client
    try:
        asyncio.run(serve(arguments.host, arguments.port, _keys(arguments), arguments.pid_file))
    except (BrokerError, OSError) as error:
        print(f"cannot listen on {arguments.host}:{arguments.port}: {error}; choose another --port", file=sys.stderr)
        return 1
    except EdgeWattError as error:
        print(f"{error.message}; {error.hint}", file=sys.stderr)
        return 2
    return 0


def _keys(arguments: argparse.Namespace) -> Keys | None:
    """Return what makes it safe to listen. Raises InvalidError where others reach it and something is missing."""
    given = {name: getattr(arguments, name) for name in ("cert_file", "key_file", "users")}
    if all(given.values()):
        return Keys(**given, operators=tuple(arguments.operator or (OPERATOR,)), people_port=arguments.people_port)
    if any(given.values()) or not is_loopback(arguments.host):
        missing = ", ".join(f"--{name.replace('_', '-')}" for name, path in given.items() if not path)
        hint = "`edgewatt init` makes them, and `edgewatt up --host` uses them; without, listen on 127.0.0.1"
        raise InvalidError(
            f"{missing} missing: without, anybody who reaches this port commands every device", hint=hint
        )
    return None


if __name__ == "__main__":
    # Run as the module that its own plugin path names, so that there is one copy of its classes.
    from broker.embedded import main as run

    sys.exit(run())
