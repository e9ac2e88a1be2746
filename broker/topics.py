"""The table of topics: who writes what, how, and where; `parse` is the inverse of `Route.topic`."""

import re
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from broker.commands import Ack, Command, Desired
from broker.errors import WireError
from broker.messages import ControllerStatus, Info, LogLine, State, Status, Telemetry
from broker.wire import decode, decode_command, encode

M = TypeVar("M")

AGENT, CONTROLLER, OPERATOR = "agent", "controller", "operator"
ROLES = (AGENT, CONTROLLER, OPERATOR)

DEVICE_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
PREFIX = "device/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route(Generic[M]):
    """One row of the contract: `device/<id>/<suffix>`, its message, delivery, writers and readers besides operators."""

    suffix: str
    kind: type[M]
    qos: int
    retain: bool
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    says: str

    def topic(self, device_id: str) -> str:
        """Return this route's topic for `device_id`; raises WireError for an id outside the pattern."""
        return f"{PREFIX}{checked_id(device_id)}/{self.suffix}"

    @property
    def filter(self) -> str:
        """The subscription that hears this route from every device."""
        return f"{PREFIX}+/{self.suffix}"

    def encode(self, message: M) -> bytes:
        """Return `message` as this route's payload."""
        return encode(message)

    def decode(self, payload: bytes) -> M:
        """Return the message in `payload`; raises WireError."""
        return decode(self.kind, payload)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRoute(Route[Command]):
    """The route of commands, which also understands a bare word."""

    def decode(self, payload: bytes) -> Command:
        """Return the command in `payload`; raises WireError."""
        return decode_command(payload)


STATUS = Route(
    suffix="status",
    kind=Status,
    qos=1,
    retain=True,
    writers=(AGENT,),
    readers=(AGENT, CONTROLLER),
    says="presence; the Will is the same session with online false",
)
INFO = Route(
    suffix="info",
    kind=Info,
    qos=1,
    retain=True,
    writers=(AGENT,),
    readers=(CONTROLLER,),
    says="birth and registration",
)
STATE = Route(
    suffix="state",
    kind=State,
    qos=1,
    retain=True,
    writers=(AGENT,),
    readers=(CONTROLLER,),
    says="reported truth",
)
DESIRED = Route(
    suffix="desired",
    kind=Desired,
    qos=1,
    retain=True,
    writers=(CONTROLLER,),
    readers=(AGENT,),
    says="the one slot a device that was away converges to",
)
CMD = CommandRoute(
    suffix="cmd",
    kind=Command,
    qos=1,
    retain=False,
    writers=(CONTROLLER, OPERATOR),
    readers=(AGENT, CONTROLLER),
    says="a command; only op is required",
)
ACK = Route(
    suffix="ack",
    kind=Ack,
    qos=1,
    retain=False,
    writers=(AGENT,),
    readers=(CONTROLLER,),
    says="how a command stands",
)
TELEMETRY = Route(
    suffix="telemetry",
    kind=Telemetry,
    qos=0,
    retain=False,
    writers=(AGENT,),
    readers=(CONTROLLER,),
    says="one sample; or a batch with its own times (QoS 1), sent while a controller is in sight",
)
LOG = Route(
    suffix="log",
    kind=LogLine,
    qos=0,
    retain=False,
    writers=(AGENT,),
    readers=(CONTROLLER,),
    says="a rate-limited log line",
)

ROUTES: tuple[Route[Any], ...] = (STATUS, INFO, STATE, DESIRED, CMD, ACK, TELEMETRY, LOG)
_TELEMETRY_ENDING = f"/{TELEMETRY.suffix}"
_BY_SUFFIX = {route.suffix: route for route in ROUTES}

CONTROLLER_STATUS = "fleet/controller/status"
"""The one topic that is not a device's: retained, QoS 1, a `ControllerStatus`."""

BROKER_VERSION = "$SYS/broker/version"
"""Where Mosquitto and the embedded broker say what they are; others say nothing there."""

UPTIME = "$SYS/broker/uptime"
"""Where Mosquitto says how many seconds it runs."""

PROBE = "fleet/doctor/probe"
"""Where `edgewatt doctor` leaves a retained document and looks whether the broker keeps it."""


def checked_id(device_id: str) -> str:
    """Return `device_id`; raises WireError (`bad_id`) outside the pattern."""
    if not DEVICE_ID.fullmatch(device_id):
        raise WireError(
            f"'{device_id[:80]}' is no device id",
            code="bad_id",
            hint="1 to 64 of a-z 0-9 . _ -, beginning with a letter or digit",
        )
    return device_id


def parse(topic: str) -> tuple[str, Route[Any]]:
    """Return the device and the route that `topic` names; raises WireError (`bad_topic` or `bad_id`)."""
    head, _, rest = topic.partition("/")
    device_id, _, suffix = rest.partition("/")
    route = _BY_SUFFIX.get(suffix)
    if f"{head}/" != PREFIX or route is None:
        raise WireError(f"'{topic[:120]}' is no topic of ours", code="bad_topic", hint="see `edgewatt bus topics`")
    return checked_id(device_id), route


def talker(topic: str) -> str | None:
    """Return whose telemetry `topic` brings, an id that nobody checked yet; None for any other topic."""
    if topic.endswith(_TELEMETRY_ENDING) and topic.startswith(PREFIX):
        return topic[len(PREFIX) : -len(_TELEMETRY_ENDING)]
    return None


def agent_filters(device_id: str) -> tuple[str, ...]:
    """Return what the agent of `device_id` subscribes to."""
    return (*(route.topic(device_id) for route in ROUTES if AGENT in route.readers), CONTROLLER_STATUS)


def controller_filters() -> tuple[str, ...]:
    """Return what the controller subscribes to."""
    return (*(route.filter for route in ROUTES if CONTROLLER in route.readers), CONTROLLER_STATUS)


SHARED_TELEMETRY = f"$share/edgewatt/{TELEMETRY.filter}"
"""The telemetry of the fleet, each message to one of those who ask, where a broker has shared subscriptions."""


def decode_controller_status(payload: bytes) -> ControllerStatus:
    """Return the controller's presence; raises WireError."""
    return decode(ControllerStatus, payload)
