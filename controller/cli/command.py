"""How a function becomes a command: an example first in its help, and the options that every command has."""

import inspect
import os
import sys
from collections.abc import Callable
from copy import copy
from functools import wraps
from typing import Annotated, Any, get_args, get_origin

import typer

from controller.cli.completing import COMPLETERS
from controller.cli.console import Console

Body = Callable[..., int | None]

JSON = Annotated[bool, typer.Option("--json", help="Print JSON, errors too.")]
QUIET = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing on stderr but errors.")]
CONTROLLER = Annotated[
    str | None,
    typer.Option("--controller", metavar="URL", help="The controller's address [EDGEWATT_CONTROLLER_URL]."),
]

_COMMON = (
    inspect.Parameter("as_json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=JSON),
    inspect.Parameter("quiet", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=QUIET),
    inspect.Parameter("controller_url", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=CONTROLLER),
)


def group(name: str, says: str) -> typer.Typer:
    """Return a noun that takes verbs."""
    return typer.Typer(name=name, help=says, no_args_is_help=True, rich_markup_mode=None, add_completion=False)


def command(app: typer.Typer, name: str, *, example: str) -> Callable[[Body], Body]:
    """Register a function whose first argument is the `Console` as the command `name` of `app`.

    Its docstring is the help, after `example`; its return value is the exit code, None for 0.
    """

    def register(body: Body) -> Body:
        @wraps(body)
        def run(*args: Any, as_json: bool, quiet: bool, controller_url: str | None, **values: Any) -> int | None:
            console = Console(as_json=as_json, quiet=quiet, controller_url=controller_url)
            try:
                return body(console, *args, **values)
            except BrokenPipeError:  # whoever reads our output has seen enough
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                return None
            finally:
                console.close()

        own = list(inspect.signature(body).parameters.values())[1:]
        parameters = [*map(_completed, own), *_COMMON]
        run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # what inspect reads, and typer with it
            [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in parameters]
        )
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        text = inspect.getdoc(body) or ""
        app.command(name, help=f"Example: {example}\n\n{text}", short_help=text.splitlines()[0])(run)
        return body

    return register


def _completed(parameter: inspect.Parameter) -> inspect.Parameter:
    """Return a parameter that the shell completes, where its name is one of those that it can."""
    completer = COMPLETERS.get(parameter.name)
    if completer is None or get_origin(parameter.annotation) is not Annotated:
        return parameter
    kind, *said = get_args(parameter.annotation)
    completing = [copy(each) for each in said]
    for each in completing:
        if isinstance(each, typer.models.ParameterInfo):
            each.autocompletion = completer
    return parameter.replace(annotation=Annotated[kind, *completing])
