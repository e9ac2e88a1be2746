"""Runs every benchmark, prints one table, and writes the figures as JSON beside it.

A benchmark is a file `bench_<what>.py` in this folder that prints JSON lines, one per figure:
`{"name", "value", "unit", "reference"?, "ratio"?, "budget"?, "met"?}`. It runs in a process of its own, so that one
does not disturb another. `python -m benchmarks [NAME…]` runs those whose name contains one of the words.
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


def main() -> int:
    """Run the chosen benchmarks; return 1 when one failed or missed its budget."""
    words = sys.argv[1:]
    chosen = [path for path in sorted(HERE.glob("bench_*.py")) if not words or any(word in path.stem for word in words)]
    figures, failed = [], []
    for path in chosen:
        print(f"running {path.stem} …", file=sys.stderr, flush=True)
        rows = run(path)
        figures += rows
        if not rows:
            failed.append(path.stem)
    machine = {"cpu_count": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
    RESULTS.write_text(json.dumps({"at": time.time(), **machine, "figures": figures}, indent=2) + "\n")
    print(table(figures))
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed) or any(row.get("met") is False for row in figures))


def run(path: Path) -> list[dict[str, object]]:
    """Return the figures that the benchmark at `path` prints; none when it fails."""
    command = [sys.executable, "-m", f"benchmarks.{path.stem}"]
    done = subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr[-2000:], file=sys.stderr)
        return []
    return [{"benchmark": path.stem, **json.loads(line)} for line in done.stdout.splitlines() if line.startswith("{")]


def table(figures: list[dict[str, object]]) -> str:
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
