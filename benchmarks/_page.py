"""Makes a page of the documentation from the figures of the benchmarks."""

import time
from collections.abc import Callable, Sequence
from typing import Any

Run = dict[str, Any]
"""What one benchmark gave: benchmark, arguments, at, load, machine, took_s, exit_code, figures."""

COLUMNS = ("name", "value", "unit", "reference", "ratio", "budget", "met")

_HEAD = """# Benchmarks

Written by `python -m benchmarks --page` from what `make bench` and the commands below measured, never by hand. What
is compared runs in the same run, in turns; a ratio is ours to the peer's. No test asserts a time: where a budget is
missed, this page says NO. Figures of another machine differ; ratios differ less.

## The machine"""


def page(runs: Sequence[Run], purpose: Callable[[str], str]) -> str:
    """Return the page for `runs` on the machine of the newest; `purpose` says what a benchmark is for."""
    machine = max(runs, key=lambda each: float(each["at"]))["machine"]
    runs = sorted((each for each in runs if each["machine"] == machine), key=_order)
    described = "\n".join(f"- {name}: {said}" for name, said in machine.items())
    budgets = [row for each in runs for row in each["figures"] if "met" in row]
    missed = [str(each["name"]) for each in budgets if not each["met"]]
    verdict = f"{len(budgets) - len(missed)} of {len(budgets)} budgets are met."
    verdict += f" Missed: {'; '.join(missed)}." if missed else ""
    return "\n\n".join((_HEAD, described, verdict, *(_section(each, purpose) for each in runs))) + "\n"


def cells(row: dict[str, object]) -> tuple[str, ...]:
    """Return the cells of a figure, one for each of COLUMNS."""
    return tuple(_cell(row.get(column)) for column in COLUMNS)


def _order(run: Run) -> tuple[str, list[str]]:
    return run["benchmark"], run["arguments"]


def _section(run: Run, purpose: Callable[[str], str]) -> str:
    name, arguments = run["benchmark"], " ".join(run["arguments"])
    command = f"python -m benchmarks {name}" + (f" -- {arguments}" if arguments else "")
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(run["at"]))
    told = f"`{command}`, {when}, {run['took_s']:.0f} s, load before it {run['load']:.1f}."
    told += f" **It ended with {run['exit_code']}.**" if run["exit_code"] else ""
    rows = [COLUMNS, ("---",) * len(COLUMNS), *(cells(row) for row in run["figures"] if "name" in row)]
    title = f"## {name.replace('_', ' ')}" + (f" ({arguments})" if arguments else "")
    return "\n\n".join((title, purpose(name), told, "\n".join(_line(row) for row in rows)))


def _line(row: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "NO"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.4g}"
    return str(value)
