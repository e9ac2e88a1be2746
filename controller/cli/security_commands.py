"""The command that makes a fleet's keys, certificates, users and rights."""

import socket
from pathlib import Path
from typing import Annotated

import typer

from controller.cli.command import command
from controller.cli.console import Console, Table


def add_to(app: typer.Typer) -> None:
    """Add the command to `app`."""
    command(app, "init", example="edgewatt init --host broker.example.org")(_init)


def _init(
    console: Console,
    *,
    data: Annotated[Path, typer.Option(help="The data folder; what is made lies in its folder `security`.")] = Path(
        ".edgewatt"
    ),
    host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME_OR_IP", help="Devices also reach broker and controller by this; may be repeated."),
    ] = None,
    operator: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A person besides `operator`; may be repeated.")
    ] = None,
    broker_user: Annotated[
        str, typer.Option(metavar="NAME", help="Whom the broker runs as: you, or for root `mosquitto`.")
    ] = "",
    renew: Annotated[bool, typer.Option("--renew", help="Make the server's certificate again, with its key.")] = False,
) -> None:
    """Make what a fleet beyond this machine needs: authority, certificates, users, rights, signing key.

    What exists is kept, and said so: run it again to add a host or a person. No secret is printed.
    """
    from controller.security.certificates import today  # noqa: PLC0415 - cryptography is loaded by what needs it
    from controller.security.configuration import entered_by_all  # noqa: PLC0415
    from controller.security.folder import Security, usual_broker_user  # noqa: PLC0415
    from controller.security.making import Making  # noqa: PLC0415

    security, user = Security.of(data), broker_user or usual_broker_user()
    asked = tuple(checked_host(name) for name in host or ())
    making = Making(security=security, broker_user=user, now=today())
    making.run(_names_here(), asked, tuple(operator or ()), renew=renew)
    following = _next(data, security.client_settings)
    pieces = [{"file": each.file, "done": each.done, "says": each.says} for each in making.pieces]
    table = Table(columns=("file", "", "what it is"), rows=[(p["file"], p["done"], p["says"]) for p in pieces])
    console.show({"folder": str(security.root), "pieces": pieces, "next": following}, table)
    closed = entered_by_all(security.root) if making.foreign else None
    if closed:
        console.say(f"\nthe broker's user {user} cannot enter {closed}: choose another --data, or open it (chmod o+x)")
    if not console.as_json:
        console.say(f"\nin {security.root}; next:\n" + "\n".join(f"  {line}" for line in following))


def checked_host(name: str) -> str:
    """Return `name`, a host's name or address, in small letters. Raises InvalidError."""
    from broker.errors import InvalidError  # noqa: PLC0415 - imported on use
    from controller.security.certificates import is_host  # noqa: PLC0415

    if not is_host(name):
        hint = "a name such as broker.example.org, or an address, without a port"
        raise InvalidError(f"'{name[:80]}' is no host", code="usage", hint=hint)
    return name.lower()


def _names_here() -> tuple[str, ...]:
    """Return by which names and addresses this machine is reached."""
    from controller.security.certificates import is_host  # noqa: PLC0415 - cryptography is loaded by what needs it
    from controller.settings import outgoing_ip  # noqa: PLC0415

    found = ("localhost", "127.0.0.1", "::1", socket.gethostname().lower(), socket.getfqdn().lower(), outgoing_ip())
    return tuple(dict.fromkeys(name for name in found if is_host(name)))


def _next(data: Path, settings: Path) -> list[str]:
    return [
        f"edgewatt up --data {data} --host 0.0.0.0",
        f"EDGEWATT_CONFIG={settings} edgewatt doctor",
        "edgewatt devices enroll pi5-1 --out pi5-1.tar",
    ]
