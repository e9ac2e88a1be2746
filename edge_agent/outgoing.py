"""Says things to the broker in order, and keeps what cannot be said until the connection is back."""

import asyncio
from collections import deque
from collections.abc import Callable

from broker.commands import Ack
from broker.errors import LinkError, WireError
from broker.link import Link
from broker.messages import Info, LogLine, State, Status, Telemetry
from broker.topics import ACK, INFO, LOG, STATE, STATUS, TELEMETRY


class Outgoing:
    """The agent's voice: acks in order, and the newest status, info and state when they are due."""

    def __init__(
        self,
        link: Link,
        device_id: str,
        *,
        status: Callable[[], Status],
        info: Callable[[], Info],
        state: Callable[[], State],
    ) -> None:
        """Say over `link`; the callables give the documents as they are at the moment of sending."""
        self._link = link
        self._device_id = device_id
        self._documents: dict[str, Callable[[], tuple[str, bytes]]] = {
            STATUS.suffix: lambda: (STATUS.topic(device_id), STATUS.encode(status())),
            INFO.suffix: lambda: (INFO.topic(device_id), INFO.encode(info())),
            STATE.suffix: lambda: (STATE.topic(device_id), STATE.encode(state())),
        }
        self._due: dict[str, None] = {}
        self._acks: deque[Ack] = deque()
        self._logs: deque[LogLine] = deque(maxlen=100)
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()

    def ack(self, ack: Ack) -> None:
        """Say how a command stands; while away only the newest news of each command is kept."""
        if not self._link.connected:
            self._acks = deque(a for a in self._acks if a.id != ack.id)
        self._acks.append(ack)
        self._renew(STATE.suffix)

    def announce(self) -> None:
        """Say status, info and state again."""
        self._renew(STATUS.suffix, INFO.suffix, STATE.suffix)

    def renew_status(self) -> None:
        """Say that we are here."""
        self._renew(STATUS.suffix)

    def renew_info(self) -> None:
        """Say again who we are, and how we stand."""
        self._renew(INFO.suffix, STATE.suffix)

    def renew_state(self) -> None:
        """Say how we stand."""
        self._renew(STATE.suffix)

    def log(self, line: LogLine) -> None:
        """Say `line` as soon as there is a connection; the oldest of a hundred is forgotten first."""
        self._logs.append(line)
        self._wake.set()

    async def live(self, sample: Telemetry) -> bool:
        """Say a sample now; return whether it went out."""
        try:
            await self._link.publish(TELEMETRY.topic(self._device_id), TELEMETRY.encode(sample), qos=TELEMETRY.qos)
        except LinkError:
            return False
        return True

    async def history(self, batch: Telemetry) -> bool:
        """Say old samples with QoS 1; return whether the broker has them."""
        try:
            await self._link.publish(TELEMETRY.topic(self._device_id), TELEMETRY.encode(batch), qos=1)
        except LinkError:
            return False
        return True

    async def run(self) -> None:
        """Say what is due, for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            self._idle.clear()
            if self._link.connected:
                await self._flush()
            self._idle.set()

    async def flush(self, within_s: float) -> None:
        """Wait until everything is said, `within_s` at most."""
        self._idle.clear()
        self._wake.set()
        try:
            async with asyncio.timeout(within_s):
                await self._idle.wait()
        except TimeoutError:
            return

    async def goodbye(self, status: Status) -> None:
        """Say that we leave; a lost connection has a Will for that."""
        try:
            await self._link.publish(STATUS.topic(self._device_id), STATUS.encode(status), qos=1, retain=True)
        except LinkError:
            return

    def _renew(self, *suffixes: str) -> None:
        self._due |= dict.fromkeys(suffixes)
        self._wake.set()

    async def _flush(self) -> None:
        try:
            await self._say_due(STATUS.suffix, INFO.suffix)
            while self._acks:
                ack = self._acks[0]
                await self._link.publish(ACK.topic(self._device_id), _bounded(ack), qos=ACK.qos)
                if self._acks and self._acks[0] is ack:
                    self._acks.popleft()
            await self._say_due(STATE.suffix)
            while self._logs:
                await self._link.publish(LOG.topic(self._device_id), LOG.encode(self._logs[0]), qos=LOG.qos)
                self._logs.popleft()
        except LinkError:
            return

    async def _say_due(self, *suffixes: str) -> None:
        for suffix in suffixes:
            if suffix in self._due:
                topic, payload = self._documents[suffix]()
                del self._due[suffix]
                try:
                    await self._link.publish(topic, payload, qos=1, retain=True)
                except LinkError:
                    self._due[suffix] = None
                    raise


def _bounded(ack: Ack) -> bytes:
    """Return `ack` as a payload, without its result when that is too large to travel."""
    try:
        return ACK.encode(ack)
    except WireError:
        return ACK.encode(Ack(id=ack.id, op=ack.op, state=ack.state, attempt=ack.attempt, seq=ack.seq, gen=ack.gen))
