"""Runs every benchmark, prints what it says, then one table, and keeps all figures as JSON beside it.

A benchmark is a file of this folder that prints what it likes and JSON lines with its figures. A line with `name`,
`value` and `unit` (and `reference`, `ratio`, `budget`, `met` where they make sense) is a row of the table; other lines
are kept as they are. Each runs in a process of its own.

    python -m benchmarks                                   every one
    python -m benchmarks ingest predict                    those that contain a word
    python -m benchmarks dashboard -- --all --watch-s 3600 what follows `--` is for the benchmark
    python -m benchmarks --page                            write docs/benchmarks.md from what was measured
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks._machine import describe
from benchmarks._page import COLUMNS, Run, cells, page

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
PAGE = HERE.parent / "docs" / "benchmarks.md"


def main() -> int:
    """Run the chosen benchmarks; return 1 when one failed or missed its budget."""
    if sys.argv[1:2] in (["-h"], ["--help"]):
        print(__doc__)
        return 0
    words, _, arguments = " ".join(sys.argv[1:]).partition("--")
    if arguments.strip() == "page":
        return write_page()
    found = [path.stem for path in sorted(HERE.glob("*.py")) if not path.stem.startswith("_")]
    chosen = [name for name in found if not words or any(word in name for word in words.split())]
    runs = [keep(run(name, arguments.split())) for name in chosen]
    rows = [row for each in runs for row in each["figures"] if "name" in row]
    print(f"\n{table(rows)}\n\nall figures: {RESULTS}")
    failed = [each["benchmark"] for each in runs if each["exit_code"]]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return int(not runs or bool(failed) or any(row.get("met") is False for row in rows))


def run(name: str, arguments: list[str]) -> Run:
    """Return the figures of a benchmark and on what they were measured; what else it says is printed."""
    print(f"\n== {name}", flush=True)
    command = [sys.executable, "-m", f"benchmarks.{name}", *arguments]
    machine, load, at = describe(), os.getloadavg()[0], time.time()
    told: Run = {"benchmark": name, "arguments": arguments, "at": at, "load": load, "machine": machine}
    figures = []
    with subprocess.Popen(command, cwd=HERE.parent, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("{"):
                figures.append(json.loads(line))
            else:
                print(line, end="", flush=True)
    return told | {"took_s": time.time() - at, "exit_code": process.returncode, "figures": figures}


def keep(made: Run) -> Run:
    """Write a run beside the others, in place of an earlier one of the same command."""
    others = [each for each in read() if any(each[key] != made[key] for key in ("benchmark", "arguments"))]
    RESULTS.write_text(json.dumps([*others, made], indent=1) + "\n")
    return made


def read() -> list[Run]:
    """Return the runs that are kept; a file that is not ours is put aside."""
    try:
        kept = json.loads(RESULTS.read_text())
    except FileNotFoundError:
        return []
    except ValueError:
        kept = None
    if isinstance(kept, list):
        return kept
    aside = RESULTS.rename(RESULTS.with_suffix(".unread"))
    print(f"{RESULTS.name} holds no runs of benchmarks: it is {aside.name} now", file=sys.stderr)
    return []


def write_page() -> int:
    """Write the page of the documentation; return 1 where nothing was measured."""
    runs = read()
    if not runs:
        print(f"nothing was measured yet ({RESULTS} is missing): python -m benchmarks", file=sys.stderr)
        return 1
    PAGE.write_text(page(runs, purpose))
    print(PAGE)
    return 0


def purpose(benchmark: str) -> str:
    """Return what a benchmark says of itself."""
    return (HERE / f"{benchmark}.py").read_text().partition('"""')[2].partition("\n")[0].rstrip('"')


def table(figures: list[dict[str, object]]) -> str:
    """Return `figures` as aligned columns."""
    rows = [COLUMNS, *map(cells, figures)]
    widths = [max(len(row[index]) for row in rows) for index in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


if __name__ == "__main__":
    sys.exit(main())
