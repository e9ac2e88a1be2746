"""Commands that let a device into the broker and shut it out."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from broker.errors import StorageError
from controller.cli.command import command
from controller.cli.console import Console
from controller.cli.exits import Exit

HOUR_S = 3_600.0
Name = Annotated[str, typer.Argument(metavar="ID", help="The device.")]
Replace = Annotated[
    bool, typer.Option("--replace", help="Also one that is enrolled: its present credentials stop working.")
]


def add_to_devices(devices: typer.Typer) -> None:
    """Add the commands to the noun `devices`."""
    command(devices, "enroll", example="edgewatt devices enroll pi5-7 --out pi5-7.tar")(_enroll)
    command(devices, "revoke", example="edgewatt devices revoke pi5-7 --yes")(_revoke)


def _enroll(
    console: Console,
    device: Name,
    *,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.tar", help="Where the device's files go; ID.tar by default.")
    ] = None,
    token: Annotated[
        bool, typer.Option("--token", help="Print a token instead, with which the device fetches them itself, once.")
    ] = False,
    hours: Annotated[float, typer.Option(help="How long the token holds.", min=0.02, max=720)] = 24.0,
    replace: Replace = False,
) -> None:
    """Let a device in: its settings, authority and password in a tar file, or a token with which it fetches them."""
    if token:
        _invite(console, device, hours, replace=replace)
        return
    target = out or Path(f"{device}.tar")
    with _reserved(target) as file:
        answer = console.client.enroll(device, replace=replace)
        from controller.enrolment.bundle import as_tar  # noqa: PLC0415 - imported on use

        file.write(as_tar(answer["files"], time.time()))
    made = {"success": True, "device_id": device, "file": str(target), "broker": answer["broker"]}
    console.line(made, str(target))
    _say_told(console, answer["broker"])
    if not console.as_json:
        console.say(f"bring {target} to {device}, as secret as a password; then there:")
        console.say(f"  mkdir -p /etc/edgewatt && tar -xf {target.name} --no-same-owner -C /etc/edgewatt")
        console.say("  edgewatt-agent run --settings /etc/edgewatt/agent.toml")


def _invite(console: Console, device: str, hours: float, *, replace: bool) -> None:
    made = console.client.invite(device, expires_s=hours * HOUR_S, replace=replace)
    console.line(made, made["token"])
    if not console.as_json:
        url = made["controller"]
        console.say(f"it works once, within {hours:g} h, for {device} alone; there, with the token on standard input:")
        console.say(f"  edgewatt-agent enroll --controller {url} --token-file -")


def _revoke(
    console: Console, device: Name, *, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False
) -> int | None:
    """Shut a device out: its password and its tokens are void, and its session ends."""
    if not console.agrees(f"Shut {device} out of the broker?", yes=yes):
        return Exit.INTERRUPTED
    answer = console.client.revoke(device)
    console.line(answer, f"{device} is shut out" if answer["was_enrolled"] else f"{device} had nothing to take away")
    return None if _say_told(console, answer["broker"]) else Exit.PARTLY


def _say_told(console: Console, broker: dict[str, Any]) -> bool:
    """Return whether the broker knows, and say what a person has to do when it does not."""
    if not broker["done"]:
        console.say(
            f"{broker['says']}\nuntil it is told, it goes by its old users: run `{broker['run']}` on its machine"
        )
    elif not console.as_json:
        console.say(broker["says"])
    return bool(broker["done"])


@contextmanager
def _reserved(target: Path) -> Iterator[BinaryIO]:
    """Yield `target`, new and for its owner only, before anything is asked; it goes again on a failure.

    Raises StorageError.
    """
    try:
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise StorageError(f"{target} is there already", code="exists", hint="name another file with --out") from None
    except OSError as error:
        raise StorageError(f"cannot write {target}: {error.strerror}", hint="name another file with --out") from None
    with os.fdopen(handle, "wb") as file:
        try:
            yield file
        except BaseException:
            target.unlink()
            raise
