"""Writes what a fleet reached on this machine into the reference: `numbers`, or `torture OUT ERR` of a run.

`numbers` runs the benchmark of fleets for 200 and 1,000 devices; OUT and ERR are what `edgewatt torture` printed on
stdout and stderr.
"""

import datetime as dt
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil

from benchmarks.__main__ import table

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs" / "reference"
SIZES = (200, 1_000)


def main() -> int:
    """Write the page that is asked for."""
    match sys.argv[1:]:
        case ["numbers"]:
            write("fleet-numbers.md", numbers())
        case ["torture", out, err]:
            write("torture.md", torture(Path(out), Path(err)))
        case _:
            print(__doc__)
            return 2
    return 0


def numbers() -> str:
    """Measure and return the page."""
    rows: list[dict[str, Any]] = []
    for devices in SIZES:
        command = [sys.executable, "-m", "benchmarks.fleet"]
        environment = {**os.environ, "EDGEWATT_BENCH_DEVICES": str(devices)}
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603
        rows += [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return f"""# What a fleet of simulated devices reaches

{machine()}
`python -m scripts.fleet_page numbers` measured this and wrote it.

```
{table(rows)}
```

Devices, broker (Mosquitto), controller and the one who asks share the machine. The devices are the agent that boards
run, over MQTT, in one process per core (`how-to/simulate.md`); their files are in memory, because a thousand boards
do not share one disk, those of broker and controller on disk. *Accepted by all* is counted in the controller's
database: the journal of the device wrote it down before it answered. *Live again* is a device of which the controller
heard a new reading after the kill, at one reading in five seconds. A command goes to all at once over MQTT; by REST
each device is asked for with a request of its own, eight at a time.
"""


def torture(out: Path, err: Path) -> str:
    """Return the page of a run."""
    said = out.read_text().splitlines()
    summary, facts = json.loads(said[-1]), json.loads(err.read_text().splitlines()[-1])
    killed = sum(facts["killed"].values())
    by_name = ", ".join(f"{name} {n}" for name, n in sorted(facts["killed"].items()))
    found = "\n".join(f"- {line}" for line in said[:-1]) or "Nothing was found."
    return f"""# A long torture run

{machine()}
`edgewatt torture --seed {facts["seed"]} --devices {facts["devices"]}` ran for {facts["ran_s"]:.0f} s:

```json
{json.dumps(summary)}
```

{found}

| | |
|---|---|
| commands that REST or the broker took | {summary["trials"]} |
| not taken (the controller was dead, nothing to cancel any more) | {facts["not_taken"]} |
| kill -9 of processes | {killed}: {by_name} |
| settled after | {facts["settled_s"]} s |

A trial is a command: a deployment by REST, by name over MQTT with an id and without one, a quarter of those typed
twice; a cancel by REST or by hand; a rollback, an order, and old commands sent again. Meanwhile one message in fifty
is lost in either direction, three in a hundred come twice and three are overtaken; connections are cut, devices go
down in the middle of their work, disks fill up, clocks jump by days (`how-to/simulate.md`).

- *lost*: taken, and in no journal or not in the controller's books; or the two tell another end.
- *doubled*: an id that ended and began again, a journal that went back, a model made active twice in one attempt.
- *stuck*: not ended, in the store or in a journal, when nothing moved any more.
- *bricked*: no active model, or its file is not what its hash says.

A command that a person typed is typed again every four seconds until a device answers: a broker that is killed may
forget what was not delivered, and nothing of EdgeWatt has heard of it then.
"""


def machine() -> str:
    """Return in a sentence what this was measured on."""
    today = dt.datetime.now(dt.UTC).date()
    names = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()]
    model = next((name for name in names if "CPU" in name or "Processor" in name), platform.machine())
    memory_gb = psutil.virtual_memory().total / 1e9
    load = os.getloadavg()[2]
    return (
        f"{today}: {os.cpu_count()} shared cores ({model}), {memory_gb:.0f} GB, Python {platform.python_version()}, "
        f"load average {load:.1f} over the last quarter of an hour."
    )


def write(name: str, page: str) -> None:
    """Put a page in its place."""
    (REFERENCE / name).write_text(page, encoding="utf-8")
    print(REFERENCE / name)


if __name__ == "__main__":
    sys.exit(main())
