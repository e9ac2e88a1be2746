"""Data to stdout, talk to stderr: tables for people, JSON for programs."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TextIO

from broker.errors import EdgeWattError, InvalidError
from controller.cli.exits import Exit
from controller.cli.settings import setting, token

if TYPE_CHECKING:
    from controller.client import Client

UNLIMITED = 100_000
STYLES = {
    **dict.fromkeys(("live", "succeeded", "fits", "ok", "in step", "yes"), "green"),
    **dict.fromkeys(("late", "tight", "unknown", "no_budget", "rolled_back", "superseded", "cancelled"), "yellow"),
    **dict.fromkeys(("silent", "offline", "over", "refused", "failed", "rejected", "over_budget", "timed_out"), "red"),
    **dict.fromkeys(("unrunnable", "barred"), "red"),
    "asleep": "blue",
    "never_seen": "dim",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Columns and rows of text, under a title when there are several."""

    columns: Sequence[str]
    rows: Iterable[Sequence[str]]
    title: str = ""


class Console:
    """What a command may do to the outside: ask the controller, print, and ask the person."""

    def __init__(self, *, as_json: bool = False, quiet: bool = False, controller_url: str | None = None) -> None:
        """Print JSON when `as_json`; say nothing on stderr when `quiet`."""
        self.as_json = as_json
        self.quiet = quiet
        self._controller_url = controller_url

    @cached_property
    def client(self) -> "Client":
        """The controller, of which nothing is asked yet."""
        from controller.client import Client  # noqa: PLC0415 - httpx is loaded by the commands that need it

        url = setting("controller_url", self._controller_url)
        return Client(url, origin="cli", token=token()[0], ca_file=setting("controller_ca_file", None))

    def told(self, name: str) -> str | None:
        """Return what the command line itself says of the setting `name`."""
        return self._controller_url if name == "controller_url" else None

    def close(self) -> None:
        """Close the connection to the controller, if there is one."""
        if "client" in self.__dict__:
            self.client.close()

    def show(self, document: Any, *tables: Table) -> None:
        """Print `document` as JSON, or `tables` for a person."""
        if self.as_json:
            print(json.dumps(document, ensure_ascii=False, indent=2, default=str))
            return
        for table in tables:
            _print_table(table, sys.stdout)

    def line(self, document: Any, text: str) -> None:
        """Print one of many: a JSON object on one line, or `text`; at once, for whoever reads a pipe."""
        print(json.dumps(document, ensure_ascii=False, default=str) if self.as_json else text, flush=True)

    def say(self, text: str) -> None:
        """Tell the person something that is not data."""
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)

    def agrees(self, question: str, *, yes: bool) -> bool:
        """Return whether the person agrees; `yes` was said already. Raises InvalidError when there is nobody to ask."""
        if yes:
            return True
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise InvalidError("this asks before it is done, and there is nobody to ask", hint="add --yes")
        print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
        return sys.stdin.readline().strip().lower() in {"y", "yes"}

    def busy(self, text: str) -> AbstractContextManager[Any]:
        """Show `text` on a terminal's stderr while the context lasts."""
        if self.quiet or self.as_json or not sys.stderr.isatty():
            return nullcontext()
        from rich.console import Console as Rich  # noqa: PLC0415 - rich is loaded by what draws

        return Rich(stderr=True).status(text)

    @contextmanager
    def progress(self, title: str) -> Iterator[Callable[[float, str], None]]:
        """Give what is told how much is done, 0 to 1, and in which step: a bar on a terminal's stderr, else lines."""
        if self.quiet or self.as_json or not sys.stderr.isatty():
            yield _steps(self.say, title)
            return
        from rich.console import Console as Rich  # noqa: PLC0415 - rich is loaded by what draws
        from rich.progress import Progress  # noqa: PLC0415

        with Progress(console=Rich(stderr=True), transient=True) as bar:
            task = bar.add_task(title, total=1.0)
            yield lambda done, step: bar.update(task, completed=done, description=f"{title}: {step}")

    def complain(self, error: EdgeWattError, code: Exit) -> None:
        """Say what went wrong on stderr, quiet or not; as JSON when the data would have been."""
        if self.as_json:
            facts = {"success": False, "error": error.message, "code": error.code, "hint": error.hint}
            print(json.dumps(facts | {"exit_code": int(code)} | error.facts, default=str), file=sys.stderr)
            return
        print(f"error: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"hint: {error.hint}", file=sys.stderr)


def _steps(say: Callable[[str], None], title: str) -> Callable[[float, str], None]:
    """Return what says each new step on a line of its own."""
    last = ""

    def told(_done: float, step: str) -> None:
        nonlocal last
        if step != last:
            last = step
            say(f"{title}: {step}")

    return told


def _print_table(table: Table, out: TextIO) -> None:
    """Draw `table`: to the width of a terminal, else whole and without colour."""
    from rich.console import Console as Rich  # noqa: PLC0415 - rich is loaded by what draws
    from rich.table import Table as RichTable  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    terminal = out.isatty()
    rich = Rich(file=out, width=None if terminal else UNLIMITED, no_color=not terminal or None, highlight=False)
    drawn = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold" if terminal else None)
    for index, column in enumerate(table.columns):
        # The first column names the thing: it is copied, so it stays whole.
        drawn.add_column(column, overflow="fold", no_wrap=index == 0 or not terminal)
    for row in table.rows:
        drawn.add_row(*(Text(cell, style=STYLES.get(cell, "") if terminal else "") for cell in row))
    if table.title:
        rich.print(Text(f"\n{table.title}", style="bold" if terminal else ""))
    rich.print(drawn)
