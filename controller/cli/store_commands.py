"""Commands about the files of models: check them, put them away, make a key to sign them."""

from pathlib import Path
from typing import Annotated

import typer

from broker.errors import InvalidError
from controller.cli.command import command
from controller.cli.console import Console
from controller.cli.exits import Exit


def add_to(models: typer.Typer) -> None:
    """Add the commands to the group `models`."""
    command(models, "verify", example="edgewatt models verify digits_cnn_s")(_verify)
    command(models, "archive", example="edgewatt models archive my_net")(_archive)
    command(models, "keygen", example="edgewatt models keygen signing.pem")(_keygen)


def _verify(
    console: Console,
    model: Annotated[str | None, typer.Argument(help="One model; see --all.")] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="Every file of the store.")] = False,
) -> int:
    """Read files of the store again and compare them with their hash, signature and golden check."""
    from controller.cli import store_tables  # noqa: PLC0415 - imported on use

    if (model is None) is not every:
        raise InvalidError("say which model, or --all", code="usage", hint="edgewatt models verify NAME")
    with console.busy("reading every byte"):
        found = console.client.verify_models(model)
    console.show(found, store_tables.checked(found["artifacts"]))
    return Exit.DONE if found["ok"] else Exit.FAILED


def _archive(
    console: Console, model: str, *, undo: Annotated[bool, typer.Option(help="Bring it back.")] = False
) -> None:
    """Put a model away: it is no longer offered, and its files may go when the store is above its quota."""
    done = console.client.archive_model(model, undo=undo)
    console.show(done)
    console.say(f"{model} {'is offered again' if undo else 'is archived; --undo brings it back'}")


def _keygen(console: Console, file: Path) -> None:
    """Make a key that signs artifacts, and say what devices check them with."""
    from broker.signing import make_key  # noqa: PLC0415 - needs an extra

    signer = make_key(file)
    console.line(
        {"signing_key_file": str(file), "verify_key": signer.public_key},
        f"controller: EDGEWATT_SIGNING_KEY_FILE={file}\ndevices:    EDGEWATT_VERIFY_KEY={signer.public_key}",
    )
