"""Access rules for a broker, generated from the table of topics."""

from broker.topics import AGENT, CONTROLLER, CONTROLLER_STATUS, OPERATOR, PREFIX, ROUTES


def mosquitto_acl() -> str:
    """Return Mosquitto's acl_file: a device's username is its id, operators and the controller are users by name."""
    lines = ["# Generated from the table of topics: `edgewatt bus acl`. A device's username is its id.", ""]
    for route in ROUTES:
        rights = _rights(writes=AGENT in route.writers, reads=AGENT in route.readers)
        if rights:
            lines.append(f"pattern {rights} {PREFIX}%u/{route.suffix}")
    lines += [f"pattern read {CONTROLLER_STATUS}"]
    for role in (CONTROLLER, OPERATOR):
        lines += ["", f"user {role}", f"topic read {PREFIX}#"]
        lines += [f"topic write {route.filter}" for route in ROUTES if role in route.writers]
        rights = "readwrite" if role == CONTROLLER else "read"
        lines.append(f"topic {rights} {CONTROLLER_STATUS}")
    # Forgetting a device clears its retained topics, which only the controller may do for others.
    forget = [route.filter for route in ROUTES if route.retain and CONTROLLER not in route.writers]
    at = lines.index(f"user {CONTROLLER}") + 2
    lines[at:at] = [f"topic write {pattern}" for pattern in forget]
    return "\n".join(lines) + "\n"


def _rights(*, writes: bool, reads: bool) -> str:
    if writes and reads:
        return "readwrite"
    return "write" if writes else "read" if reads else ""
