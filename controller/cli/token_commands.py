"""Commands about who may ask the controller: tokens, and oneself."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from broker.errors import NotFoundError, StorageError
from controller.cli.command import command, group
from controller.cli.console import Console, Table
from controller.cli.exits import Exit

if TYPE_CHECKING:
    from controller.access.tokens import Tokens

Name = Annotated[str, typer.Argument(metavar="NAME", help="Whose it is: ada, ci, ada@example.org.")]
Role = Literal["viewer", "operator", "admin"]
Data = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="On the controller's machine: its data folder, without asking the controller."),
]
LOCAL = "local"
"""Who made or revoked a token at the controller's own disk."""


def add_to(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    tokens = group("tokens", "Who may ask the controller for what.")
    command(tokens, "create", example="edgewatt tokens create ada --role operator --expires 90d --out ada.token")(
        _create
    )
    command(tokens, "list", example="edgewatt tokens list")(_list)
    command(tokens, "revoke", example="edgewatt tokens revoke ada --yes")(_revoke)
    app.add_typer(tokens)
    command(app, "whoami", example="edgewatt whoami")(_whoami)


def _create(
    console: Console,
    name: Name,
    *,
    role: Annotated[Role, typer.Option(help="viewer reads, operator deploys, admin decides who may.")] = "viewer",
    expires: Annotated[
        str, typer.Option(metavar="SPAN", help="How long it is good: 90d, 12h; for ever by default.")
    ] = "",
    act_as: Annotated[
        bool, typer.Option("--act-as", help="It may name the person that it asks for: a dashboard's.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Write the secret there, for its owner only, not to stdout.")] = None,
    data: Data = None,
) -> None:
    """Make a token; its secret is shown this once."""
    if out is not None and out.exists():
        raise StorageError(f"{out} is there already", hint="choose another --out")
    if data is None:
        made = console.client.create_token(name, role, expires=expires, act_as=act_as)
    else:
        made = _made(data, name, role, expires, act_as=act_as)
    secret = made["secret"]
    if out is not None:
        _write(out, secret)
        made = {key: value for key, value in made.items() if key != "secret"} | {"written_to": str(out)}
    if console.as_json:
        console.show(made)
        return
    if out is None:
        print(secret)
    until = " for ever" if not expires else f" for {expires}"
    where = f"written to {out}" if out else "above; nobody can show it again"
    console.say(f"{name} is {role}{until}; the secret is {where}. Use it by EDGEWATT_TOKEN, or token_file.")


def _list(console: Console, *, data: Data = None) -> None:
    """List tokens: whose, which role, until when, last used."""
    from dataclasses import asdict  # noqa: PLC0415 - imported on use

    from controller.cli import figures  # noqa: PLC0415

    if data is None:
        found = console.client.tokens()["tokens"]
    else:
        with _opened(data) as tokens:
            found = [asdict(each) for each in tokens.list()]
    rows = [
        (
            each["name"],
            each["role"] + (" (acts for others)" if each["act_as"] else ""),
            figures.clock(each["expires_at"]) if each["expires_at"] else "never",
            figures.clock(each["last_used_at"]) if each["last_used_at"] else "never",
            figures.clock(each["created_at"]),
            each["created_by"],
        )
        for each in found
    ]
    columns = ("name", "role", "expires", "last used", "made", "by")
    console.show({"success": True, "tokens": found}, Table(columns=columns, rows=rows))


def _revoke(
    console: Console,
    name: Name,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    data: Data = None,
) -> int | None:
    """Take a token away: whoever uses it is a stranger at once."""
    if not console.agrees(f"Revoke the token {name}?", yes=yes):
        return Exit.INTERRUPTED
    if data is None:
        console.client.revoke_token(name)
    else:
        with _opened(data) as tokens:
            tokens.revoke(name, time.time(), who=LOCAL)
    if console.as_json:
        console.show({"success": True, "name": name})
    else:
        console.say(f"{name} is revoked")
    return None


def _whoami(console: Console) -> None:
    """Say who you are to the controller, and what you may do."""
    from controller.cli import figures  # noqa: PLC0415 - imported on use

    found = console.client.whoami()
    until = figures.clock(found["expires_at"]) if found["expires_at"] else "never"
    name = found["name"] if found["signed_in"] else "nobody: access is not required here"
    console.show(found, Table(columns=("name", "role", "expires"), rows=[(name, found["role"], until)]))


def _made(data: Path, name: str, role: str, expires: str, *, act_as: bool) -> dict[str, Any]:
    from dataclasses import asdict  # noqa: PLC0415 - imported on use

    from controller.times import seconds  # noqa: PLC0415

    now = time.time()
    until = now + seconds(expires, "expires") if expires else None
    with _opened(data) as tokens:
        secret = tokens.create(name, role, now, expires_at=until, act_as=act_as, who=LOCAL)
        return {"success": True, "token": asdict(tokens.get(name)), "secret": secret}


@contextmanager
def _opened(data: Path) -> "Iterator[Tokens]":
    """Open the tokens in a controller's data folder, beside the controller if it runs. Raises NotFoundError."""
    from controller.access.tokens import Tokens  # noqa: PLC0415 - imported on use
    from controller.settings import load  # noqa: PLC0415
    from controller.storage.store import Store  # noqa: PLC0415

    place = load({"data": data}).place
    if isinstance(place, Path) and not place.exists():
        hint = "name the folder that the controller has as --data"
        raise NotFoundError(f"there is no controller's database in {data}", hint=hint)
    store = Store(place)
    try:
        yield Tokens(store)
    finally:
        store.close()


def _write(path: Path, secret: str) -> None:
    import os  # noqa: PLC0415 - imported on use

    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"{secret}\n")
    except OSError as error:
        hint = "the token was made all the same: revoke it, and choose another --out"
        raise StorageError(f"cannot write {path}: {error.strerror}", hint=hint) from None
