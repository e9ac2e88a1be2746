"""Runs every benchmark, prints what it says, then one table, and writes all figures as JSON beside it.

A benchmark is a file of this folder that prints what it likes and JSON lines with its figures. A line with `name`,
`value` and `unit` (and `reference`, `ratio`, `budget`, `met` where they make sense) is a row of the table; other lines
are kept as they are. Each runs in a process of its own. `python -m benchmarks [NAME…]` runs those that contain a word.
"""

import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
COLUMNS = ("name", "value", "unit", "reference", "ratio", "budget", "met")
Figures = list[dict[str, object]]


def main() -> int:
    """Run the chosen benchmarks; return 1 when one failed or missed its budget."""
    words = sys.argv[1:]
    found = [path.stem for path in sorted(HERE.glob("*.py")) if not path.stem.startswith("_")]
    figures, failed = [], []
    for name in (name for name in found if not words or any(word in name for word in words)):
        print(f"\n== {name}", flush=True)
        code, rows = run(name)
        figures += rows
        if code:
            failed.append(name)
    machine = {"cpu_count": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
    RESULTS.write_text(json.dumps({"at": time.time(), **machine, "figures": figures}, indent=2) + "\n")
    rows = [row for row in figures if "name" in row]
    print(f"\n{table(rows)}\n\nall figures: {RESULTS}")
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed) or any(row.get("met") is False for row in rows))


def run(name: str) -> tuple[int, Figures]:
    """Return the exit code of a benchmark and its figures; what else it says is printed."""
    command = [sys.executable, "-m", f"benchmarks.{name}"]
    done = subprocess.run(command, cwd=HERE.parent, stdout=subprocess.PIPE, text=True, check=False)
    figures: Figures = []
    for line in done.stdout.splitlines():
        if line.startswith("{"):
            figures.append({"benchmark": name, **json.loads(line)})
        else:
            print(line)
    return done.returncode, figures


def table(figures: Figures) -> str:
    """Return `figures` as aligned columns."""
    rows = [COLUMNS, *(tuple(_cell(row.get(column)) for column in COLUMNS) for row in figures)]
    widths = [max(len(row[index]) for row in rows) for index in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "NO"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
