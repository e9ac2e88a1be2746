"""Who may read and write which topic, from the table of topics: as Mosquitto's file, and as an answer."""

from collections.abc import Iterable
from typing import Literal

from broker.topics import AGENT, BROKER_VERSION, CONTROLLER, CONTROLLER_STATUS, OPERATOR, PREFIX, PROBE, ROUTES, UPTIME

READ: Literal[1] = 1
WRITE: Literal[2] = 2
WORDS = {READ: "read", WRITE: "write", READ | WRITE: "readwrite"}
Access = Literal[1, 2]
Rules = dict[str, int]
"""A topic filter → READ, WRITE or both."""


def device_rules(username: str) -> Rules:
    """Return what the device `username` may do; `%u` makes the pattern for all of them."""
    own = {f"{PREFIX}{username}/{route.suffix}": _rights(AGENT, route.writers, route.readers) for route in ROUTES}
    return {topic: rights for topic, rights in own.items() if rights} | {CONTROLLER_STATUS: READ}


def controller_rules() -> Rules:
    """Return what the controller may do; forgetting a device clears its retained topics, so it may write those too."""
    may_write = [route.filter for route in ROUTES if CONTROLLER in route.writers or route.retain]
    return {f"{PREFIX}#": READ, **dict.fromkeys(may_write, WRITE), CONTROLLER_STATUS: READ | WRITE}


def operator_rules() -> Rules:
    """Return what a person may do: read everything, command, and ask whether the broker keeps a document."""
    may_write = [route.filter for route in ROUTES if OPERATOR in route.writers]
    reads = {f"{PREFIX}#": READ, CONTROLLER_STATUS: READ, BROKER_VERSION: READ, UPTIME: READ}
    return {**reads, **dict.fromkeys(may_write, WRITE), PROBE: READ | WRITE}


def rules_of(username: str, operators: Iterable[str] = (OPERATOR,)) -> Rules:
    """Return the rules for a user by its name."""
    if username == CONTROLLER:
        return controller_rules()
    return operator_rules() if username in operators else device_rules(username)


def allows(rules: Rules, topic: str, access: Access) -> bool:
    """Return whether `rules` let `topic` be read or written."""
    return any(rights & access and matches(pattern, topic) for pattern, rights in rules.items())


def covers(rules: Rules, wanted: str) -> bool:
    """Return whether `rules` let everything be read that the filter `wanted` asks for."""
    return any(rights & READ and _covers(pattern, wanted) for pattern, rights in rules.items())


def matches(pattern: str, topic: str) -> bool:
    """Return whether the filter `pattern` matches `topic`; a wildcard at its head leaves out `$…`."""
    if topic.startswith("$") and not pattern.startswith("$"):
        return False
    asked, levels = pattern.split("/"), topic.split("/")
    for index, level in enumerate(asked):
        if level == "#":
            return True
        if index >= len(levels) or level not in ("+", levels[index]):
            return False
    return len(asked) == len(levels)


def mosquitto_acl(operators: Iterable[str] = (OPERATOR,)) -> str:
    """Return Mosquitto's acl_file: a device's username is its id, operators and the controller are users by name."""
    lines = ["# Generated from the table of topics: `edgewatt bus acl`. A device's username is its id.", ""]
    lines += [f"pattern {WORDS[rights]} {topic}" for topic, rights in device_rules("%u").items()]
    for user, rules in ((CONTROLLER, controller_rules()), *((name, operator_rules()) for name in operators)):
        lines += ["", f"user {user}", *(f"topic {WORDS[rights]} {topic}" for topic, rights in rules.items())]
    return "\n".join(lines) + "\n"


def _covers(pattern: str, wanted: str) -> bool:
    allowed, asked = pattern.split("/"), wanted.split("/")
    for index, level in enumerate(allowed):
        if level == "#":
            return True
        if index >= len(asked) or asked[index] == "#" or level not in ("+", asked[index]):
            return False
    return len(allowed) == len(asked)


def _rights(role: str, writers: tuple[str, ...], readers: tuple[str, ...]) -> int:
    return READ * (role in readers) | WRITE * (role in writers)
