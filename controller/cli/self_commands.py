"""Commands about EdgeWatt's own parts: what they are told, what REST is, whether all is well."""

import typer

from controller.cli.command import command, group
from controller.cli.console import Console, Table
from controller.cli.exits import Exit


def add_to(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    config = group("config", "What the command line is told, and where.")
    command(config, "show", example="edgewatt config show")(_config)
    app.add_typer(config)
    command(app, "openapi", example="edgewatt openapi > openapi.json")(_openapi)
    command(app, "doctor", example="edgewatt doctor")(_doctor)


def _config(console: Console) -> None:
    """Show each setting and where it is from: flag, environment, file or default."""
    from controller.cli.settings import DEFAULTS, origin, settings_file, token  # noqa: PLC0415 - imported on use

    found = []
    for name in DEFAULTS:
        value, whence = origin(name, console.told(name))
        found.append({"setting": name, "value": value, "origin": whence})
    secret, whence = token()
    found.append({"setting": "token", "value": "(a secret)" if secret else "", "origin": whence})
    file = settings_file()
    document = {"file": str(file), "file_exists": file.exists(), "settings": found}
    rows = [(each["setting"], each["value"], each["origin"]) for each in found]
    console.show(document, Table(columns=("setting", "value", "from"), rows=rows))
    if not console.as_json:
        console.say(f"settings file: {file}{'' if file.exists() else ' (not there)'}")


def _openapi(console: Console) -> None:
    """Print the OpenAPI document of REST, as JSON with --json or without."""
    from importlib.metadata import version  # noqa: PLC0415 - imported on use

    from controller.api.app import described  # noqa: PLC0415

    console.as_json = True
    console.show(described(version("edgewatt")).openapi())


def _doctor(console: Console) -> int:
    """Look at controller, broker, store, clock and versions; each line that is not ok says what to do."""
    from controller.cli.checkup import checkup  # noqa: PLC0415 - imported on use

    findings = checkup(console)
    document = {"success": all(each.verdict != "fail" for each in findings), "checks": [f.document for f in findings]}
    rows = [(each.verdict, each.what, each.says, each.hint) for each in findings]
    console.show(document, Table(columns=("", "what", "finding", "what to do"), rows=rows))
    return Exit.DONE if document["success"] else Exit.FAILED
