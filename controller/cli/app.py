"""The tree of commands, and the way from an error to words and an exit code."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.completion import completion_init  # type: ignore[attr-defined]  # its home has a private name
from typer.exceptions import TyperException
from typer.main import get_command

from broker.errors import EdgeWattError, InvalidError
from controller.cli import (
    advice_commands,
    alert_commands,
    backup_commands,
    balena_commands,
    bus_commands,
    calibration_commands,
    completion_commands,
    data_commands,
    deploy_commands,
    device_commands,
    event_commands,
    local_commands,
    log_commands,
    model_commands,
    predictor_commands,
    rollout_commands,
    security_commands,
    self_commands,
    simulation_commands,
    token_commands,
)
from controller.cli.console import Console
from controller.cli.exits import Exit, of_error

COMPLETING = "_EDGEWATT_COMPLETE"
"""Set by a shell that asks what would complete a line."""

app = typer.Typer(
    name="edgewatt",
    help="Know what a model will cost a device before you ship it.\n\nExample: edgewatt demo",
    no_args_is_help=True,
    add_completion=False,  # `edgewatt completion` says what it changes
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version  # noqa: PLC0415 - slow, and seldom asked for

        print(f"edgewatt {version('edgewatt')}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    pass


local_commands.add_to(app)
simulation_commands.add_to(app)
device_commands.add_to(app)
model_commands.add_to(app)
predictor_commands.add_to(app)
data_commands.add_to(app)
deploy_commands.add_to(app)
rollout_commands.add_to(app)
alert_commands.add_to(app)
advice_commands.add_to(app)
calibration_commands.add_to(app)
event_commands.add_to(app)
log_commands.add_to(app)
balena_commands.add_to(app)
bus_commands.add_to(app)
security_commands.add_to(app)
backup_commands.add_to(app)
token_commands.add_to(app)
self_commands.add_to(app)
completion_commands.add_to(app)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line `arguments`, the process's own by default; return the exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    console = Console(as_json="--json" in given)
    completion_init()
    try:
        return int(get_command(app).main(given, prog_name="edgewatt", standalone_mode=False) or Exit.DONE)
    except EdgeWattError as error:
        return _complain(console, error, of_error(error))
    except TyperException as error:
        if not str(error):  # no arguments: the help was printed
            return Exit.USAGE
        return _complain(console, InvalidError(error.format_message(), code="usage", hint=_usage(error)), Exit.USAGE)
    except (KeyboardInterrupt, typer.Abort):
        return Exit.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the process's edge: a person gets a sentence, whatever went wrong
        return _complain(console, _unexpected(error), Exit.FAILED)


def _complain(console: Console, error: EdgeWattError, code: Exit) -> Exit:
    if COMPLETING not in os.environ:  # a shell would print it into the line that a person types
        console.complain(error, code)
    return code


def _unexpected(error: Exception) -> EdgeWattError:
    """Return words for a mistake of ours or an answer of a shape that nobody foresaw; raises it when debugging."""
    if os.environ.get("EDGEWATT_DEBUG"):
        raise error
    what = f"something unexpected happened: {type(error).__name__}: {error}"
    return EdgeWattError(what, code="internal", hint="with EDGEWATT_DEBUG=1 the same command shows where")


def _usage(error: TyperException) -> str:
    context = getattr(error, "ctx", None)
    return f"try `{context.command_path} --help`" if context else "try `edgewatt --help`"
