"""What the devices of a light fleet say: what they retain at the start, then telemetry, evenly over the interval."""

import asyncio
import resource
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import count, cycle, islice

from broker.energy import Source
from broker.messages import Energy, Info, Latency, State, Status, Telemetry
from broker.topics import INFO, STATE, STATUS, TELEMETRY
from edge_agent.simulation.light.course import Course
from edge_agent.simulation.light.publisher import Publisher, heading
from edge_agent.simulation.mix import Member

STEP_S = 0.02
"""How evenly: what is due within this time goes together."""

VARIANTS = 16
LEAVING_PER_S = 20_000
SIMULATED: Source = "simulated"

Message = tuple[int, bytes, bytes]


def registration(member: Member, session: str, interval_s: float) -> tuple[Message, ...]:
    """Return what a device retains: who it is, that it is there, and that it runs nothing."""
    said = _documents(member.device_type, member.line, session, interval_s)
    topics = (route.topic(member.id) for route in (INFO, STATUS, STATE))
    return tuple((*heading(topic, retain=True), payload) for topic, payload in zip(topics, said, strict=True))


@cache
def _documents(device_type: str, line: str, session: str, interval_s: float) -> tuple[bytes, bytes, bytes]:
    info = Info(device_type=device_type, session=session, tags={"line": line}, simulated=True)
    status = Status(online=True, session=session, interval_s=interval_s)
    state = State(rev=1, session=session, phase="idle")
    return INFO.encode(info), STATUS.encode(status), STATE.encode(state)


def templates(session: str) -> tuple[bytes, ...]:
    """Return samples of which only `ts` and `seq` are open; they differ a little, as devices do."""
    return tuple(
        TELEMETRY.encode(
            Telemetry(
                ts=1.5,
                session=session,
                seq=77,
                cpu_usage_percent=20.0 + n,
                ram_usage_mb=410.0 + n,
                ram_usage_percent=30.0 + n / 2,
                temperature_c=40.0 + n,
                storage_usage_mb=5_200.0,
                latency_ms=Latency(p50=3.0 + n / 10, p95=4.0 + n / 10, max=9.0),
                energy=Energy(source=SIMULATED, energy_mj=40.0 + n, power_mw=3_000.0 + n),
                inferences=5,
            )
        )
        .replace(b"%", b"%%")
        .replace(b'"ts":1.5', b'"ts":%.3f')
        .replace(b'"seq":77', b'"seq":%d')
        for n in range(VARIANTS)
    )


def farewell(member: Member, session: str) -> Message:
    """Return what a device retains when it leaves."""
    status = Status(online=False, session=session, ts=time.time(), reason="shutdown")
    return (*heading(STATUS.topic(member.id), retain=True), STATUS.encode(status))


@dataclass(slots=True, kw_only=True)
class Light:
    """A fleet whose devices speak every `interval_s`; `registering_s` is how long they take to register.

    `raise_by` times as much is sent after each `raise_every_s`, to find out what is too much.
    """

    fleet: Sequence[Member]
    publishers: Sequence[Publisher]
    interval_s: float
    registering_s: float
    raise_every_s: float | None = None
    raise_by: float = 1.25
    registered: int = 0
    course: Course = field(init=False)
    _session: str = field(default_factory=lambda: secrets.token_hex(4))
    _turned_at: float = 0.0

    def __post_init__(self) -> None:
        """Begin with the registration."""
        self.course = self._course(3 * len(self.fleet) / self.registering_s)

    async def live(self) -> None:
        """Register every device, then send telemetry until cancelled."""
        samples = self._samples()
        retained = (each for member in self.fleet for each in registration(member, self._session, self.interval_s))
        await self._send(retained, 3 * len(self.fleet))
        self.registered, self._turned_at = len(self.fleet), time.monotonic()
        self.course = self._course(len(self.fleet) / self.interval_s)
        await self._send(samples, None)

    async def leave(self) -> None:
        """Say of every device that it leaves, as fast as the broker takes it."""
        self.course = self._course(LEAVING_PER_S)
        await self._send((farewell(member, self._session) for member in self.fleet), len(self.fleet))

    def counts(self) -> dict[str, object]:
        """Return how it goes; every figure is of simulated devices."""
        used, retained = resource.getrusage(resource.RUSAGE_SELF), 3 * len(self.fleet)
        return {
            "devices": len(self.fleet),
            "registered": self.registered or self.course.done // 3,
            "connections": sum(publisher.connected for publisher in self.publishers),
            "losses": sum(publisher.losses for publisher in self.publishers),
            "per_s": round(self.course.per_s, 1),
            "sent": self.course.done if self.registered else 0,
            "acked": max(0, sum(publisher.acked for publisher in self.publishers) - retained),
            "behind_s": round(self.course.behind_s(time.monotonic()), 3),
            "worst_behind_s": round(self.course.worst_behind_s, 3),
            "busy_s": round(used.ru_utime + used.ru_stime, 3),
            "at": round(time.time(), 3),
            "simulated": True,
        }

    def _course(self, per_s: float) -> Course:
        return Course(per_s=per_s, began=time.monotonic())

    def _samples(self) -> Iterator[Message]:
        """Return the telemetry of one device after the other, without end."""
        headings = [heading(TELEMETRY.topic(member.id)) for member in self.fleet]
        forms = templates(self._session)
        return (
            (first, topic, form % (time.time(), seq))
            for seq in count(1)
            for (first, topic), form in zip(headings, cycle(forms), strict=False)
        )

    async def _send(self, messages: Iterator[Message], most: int | None) -> None:
        """Send `messages` as they fall due, `most` of them, over whatever connection has room, and see the end."""
        course = self.course
        while most is None or course.done < most:
            now = time.monotonic()
            self._raise(now)
            course.behind_s(now)
            due = course.due(now) if most is None else min(course.due(now), most - course.done)
            for left, publisher in zip(range(len(self.publishers), 0, -1), self.publishers, strict=True):
                taken = min(publisher.room, -(-due // left))
                if taken > 0:
                    publisher.publish(islice(messages, taken))
                    course.done, due = course.done + taken, due - taken
            await asyncio.sleep(STEP_S)
        while any(publisher.waiting for publisher in self.publishers):  # noqa: ASYNC110 - the broker's answers are counted
            await asyncio.sleep(STEP_S)

    def _raise(self, now: float) -> None:
        if self.registered and self.raise_every_s and now - self._turned_at >= self.raise_every_s:
            self._turned_at = now
            self.course.turn(self.course.per_s * self.raise_by, now)
