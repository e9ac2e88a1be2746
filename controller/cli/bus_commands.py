"""Commands about the bus itself: its table of topics, its messages, its access rules."""

from typing import Annotated

import typer

from controller.cli.command import command, group
from controller.cli.console import Console, Table
from controller.cli.settings import setting


def add_to(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    bus = group("bus", "The MQTT bus.")
    command(bus, "topics", example="edgewatt bus topics")(_topics)
    command(bus, "tail", example="edgewatt bus tail 'device/+/ack'")(_tail)
    command(bus, "acl", example="edgewatt bus acl > mosquitto.acl")(_acl)
    app.add_typer(bus)


def _topics(console: Console) -> None:
    """Print the table of topics: who writes what, how, and where."""
    from broker.topics import ROUTES  # noqa: PLC0415 - imported on use

    rows = [
        {
            "topic": f"device/<id>/{route.suffix}",
            "message": route.kind.__name__,
            "qos": route.qos,
            "retained": route.retain,
            "writers": list(route.writers),
            "says": route.says,
        }
        for route in ROUTES
    ]
    table = Table(
        columns=("topic", "message", "QoS", "retained", "written by", "content"),
        rows=[
            (
                str(row["topic"]),
                str(row["message"]),
                str(row["qos"]),
                "yes" if row["retained"] else "no",
                ", ".join(route.writers),
                str(row["says"]),
            )
            for row, route in zip(rows, ROUTES, strict=True)
        ],
    )
    console.show(rows, table)


def _tail(
    console: Console,
    topics: Annotated[str, typer.Argument(metavar="[FILTER]", help="An MQTT filter.")] = "device/#",
    *,
    broker: Annotated[str | None, typer.Option(metavar="URL", help="The broker [EDGEWATT_BROKER_URL].")] = None,
    count: Annotated[int, typer.Option(help="End after so many messages; 0 goes on until Ctrl-C.", min=0)] = 0,
) -> None:
    """Print messages as they pass, decoded; what is outside the contract is marked."""
    from controller.cli.tail import tail  # noqa: PLC0415 - imported on use

    tail(console, setting("broker_url", broker), topics, count)


def _acl(console: Console) -> None:
    """Print Mosquitto's access rules, made from the table of topics."""
    from broker.acl import mosquitto_acl  # noqa: PLC0415 - imported on use

    rules = mosquitto_acl()
    if console.as_json:
        console.show({"acl": rules})
    else:
        print(rules, end="")
