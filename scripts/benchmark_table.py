"""Makes a table of real latencies on this machine: untrained networks of timm, chosen by spread, as ONNX in fp32.

`python -m scripts.benchmark_table --folder DIR` makes the files that DIR does not have yet (ten seconds each or more,
with the extra `models`), measures each that is there, and writes data/benchmarks/<processor>.csv with a note of the
machine beside it. `--make-only` stops before the measuring, so that it can be done later on a quiet machine. Weights
are random: latency does not depend on them, and no answer is used.

Which networks: of data/models.csv those of 0.01 to 6 GMACs, timm's own test networks left out; the cheapest first,
then again and again the one that lies farthest from all chosen ones. The distance of two is |log10 of their GMACs'
ratio| + |log10 of their parameters' ratio|, and one half more where their families differ, so that every family comes
in before any comes in often.
"""

import argparse
import csv
import json
import math
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path

import psutil

from edge_agent import vitals
from edge_agent.benchmark.table import read

ROOT = Path(__file__).parent.parent
LISTED = ROOT / "data" / "models.csv"
TABLES = ROOT / "data" / "benchmarks"

LEAST_GMACS, MOST_GMACS = 0.01, 6.0
COUNT = 72
FAMILY_APART = 0.5
VERSIONS = ("onnxruntime", "torch", "timm", "numpy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A line of data/models.csv, as far as the choice needs it."""

    name: str
    family: str
    gmacs: float
    params_m: float

    def distance(self, other: "Network") -> float:
        """Return how far apart two networks are."""
        size = abs(math.log10(self.gmacs / other.gmacs)) + abs(math.log10(self.params_m / other.params_m))
        return size + (FAMILY_APART if self.family != other.family else 0.0)


def main(argv: Sequence[str] | None = None) -> None:
    """Make, measure, and write the note."""
    arguments = parser().parse_args(argv)
    chosen = choose(listed(LISTED), arguments.count)
    folder: Path = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    for number, network in enumerate(chosen, start=1):
        target = folder / f"{network.name}.onnx"
        if not target.exists():
            said = make(network.name, target)
            print(f"[{number}/{len(chosen)}] {network.name}: {said}", file=sys.stderr)
    if arguments.make_only:
        return
    TABLES.mkdir(exist_ok=True)
    table = TABLES / f"{slug(vitals.cpu_name() or platform.machine())}.csv"
    began = datetime.now(UTC)
    code = measure(folder, table, arguments)
    note(table, began, arguments.threads)
    print(table)
    raise SystemExit(code)


def parser() -> argparse.ArgumentParser:
    """Return the grammar of the command line."""
    made = argparse.ArgumentParser(prog="python -m scripts.benchmark_table", description=__doc__.split("\n")[0])
    made.add_argument("--folder", type=Path, required=True, help="where the ONNX files are, or will be")
    made.add_argument("--count", type=int, default=COUNT, help=f"networks to choose (default {COUNT})")
    made.add_argument("--threads", type=int, default=1, help="of the runtime (default 1)")
    made.add_argument("--make-only", action="store_true", help="make the files and measure nothing")
    made.add_argument("--again", action="store_true", help="measure anew what the table has")
    return made


def listed(path: Path) -> list[Network]:
    """Return the networks of `path` that are within the span of GMACs."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["gmacs"] and row["params_m"] and row["name"][:5] != "test_"]
    found = (
        Network(name=r["name"], family=r["family"], gmacs=float(r["gmacs"]), params_m=float(r["params_m"]))
        for r in rows
    )
    return [network for network in found if LEAST_GMACS <= network.gmacs <= MOST_GMACS]


def choose(networks: Sequence[Network], count: int) -> list[Network]:
    """Return `count` of `networks` (or all there are), each as far from the ones before it as can be."""
    rest = sorted(networks, key=lambda network: (network.gmacs, network.name))
    nearest = {network.name: math.inf for network in rest}
    chosen: list[Network] = []
    while rest and len(chosen) < count:
        best = max(rest, key=lambda network: nearest[network.name])
        rest.remove(best)
        chosen.append(best)
        for network in rest:
            nearest[network.name] = min(nearest[network.name], network.distance(best))
    return chosen


def make(name: str, target: Path) -> str:
    """Have the workshop's worker make the untrained network `name` as `target`; return in words what came of it."""
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        request = Path(folder) / "request.json"
        source = {"kind": "timm", "name": name, "pretrained": False}
        wanted = {
            "model": name,
            "source": source,
            "format": "onnx",
            "variant": "fp32",
            "calibration": None,
            "out": folder,
        }
        request.write_text(json.dumps(wanted))
        argv = [sys.executable, "-m", "controller.workshop.worker", str(request)]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - our own module
        last = json.loads(done.stdout.splitlines()[-1]) if done.stdout.strip() else {}
        if "result" not in last:
            return str(last.get("error", {}).get("message") or done.stderr.strip()[-200:])
        Path(last["result"]["path"]).replace(target)
        return "made"


def measure(folder: Path, table: Path, arguments: argparse.Namespace) -> int:
    """Measure every file in `folder`; return the exit code of the agent's command."""
    argv = [sys.executable, "-m", "edge_agent", "bench", "--all", str(folder), "--csv", str(table)]
    argv += ["--features", str(LISTED), "--threads", str(arguments.threads), *(["--again"] if arguments.again else [])]
    return subprocess.run(argv, cwd=ROOT, check=False).returncode  # noqa: S603 - our own module


def note(table: Path, began: datetime, threads: int) -> None:
    """Write beside `table` what machine it is of."""
    rows = read(table)
    written = {
        "table": table.name,
        "machine": {
            "processor": vitals.cpu_name(),
            "architecture": platform.machine(),
            "cores": os.cpu_count(),
            "memory_mb": round(psutil.virtual_memory().total / 1e6),
            "system": vitals.os_name(),
            "kernel": platform.release(),
        },
        "versions": {"python": platform.python_version()}
        | {d.name: d.version for d in distributions() if d.name in VERSIONS},
        "threads": threads,
        "began": began.isoformat(timespec="seconds"),
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "models": sum(not row["error"] for row in rows),
        "failed": {row["model"]: row["error"] for row in rows if row["error"]},
        "noted": {row["model"]: row["note"] for row in rows if row["note"]},
        "weights": "untrained: latency does not depend on them",
        "energy": "measured" if any(row["energy_mj"] for row in rows) else "absent: this machine has no power meter",
        "choice": " ".join(__doc__.split("\n\n")[2].split()),
    }
    table.with_suffix(".json").write_text(json.dumps(written, indent=2) + "\n")


def slug(text: str) -> str:
    """Return `text` as part of a file's name."""
    plain = re.sub(r"\((r|tm)\)", "", text.lower())
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


if __name__ == "__main__":
    main()
