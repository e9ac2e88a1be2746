"""The words of `bench` and `bench-join`; what they do is imported when it is asked for."""

import argparse
from pathlib import Path
from typing import Any

from edge_agent.flags import add_settings

DEFAULT_TABLE = Path("benchmarks.csv")


def add_to(commands: Any) -> None:
    """Add the commands to the command line's `commands`."""
    bench = commands.add_parser(
        "bench",
        help="measure model files here",
        description="Measure a model file, or all in a folder or a controller's catalogue: latency, memory, energy.",
    )
    add = bench.add_argument
    add("model", type=Path, nargs="?", metavar="MODEL|DIR", help="a .onnx or .tflite file, or a folder of them")
    add("--all", metavar="DIR|URL", dest="everything", help="a folder, or a controller whose catalogue to measure")
    add("--runs", "--inferences", type=int, dest="runs", default=100, help="inferences that count (default 100)")
    add("--warmup", type=int, default=10, help="inferences before them (default 10)")
    add("--min-s", type=float, help="go on for at least that long (default 0; 20 with --external-meter)")
    add("--idle-s", type=float, help="rest before each model, for idle power (default 3; 5 with --external-meter)")
    add("--limit-s", type=float, help="give a model up after that long (default 300, more with --min-s)")
    add("--csv", type=Path, metavar="FILE", help=f"add a row for each model; of many models {DEFAULT_TABLE} otherwise")
    add("--again", action="store_true", help="measure anew what the file has rows of")
    add("--features", type=Path, metavar="FILE", help="a CSV with name, params_m and gmacs, for files that say neither")
    add("--external-meter", type=Path, metavar="FILE", help="the CSV that a USB or lab meter writes meanwhile")
    _meter_flags(bench)
    add_settings(bench)
    bench.set_defaults(run=_bench)
    joined = commands.add_parser(
        "bench-join",
        help="fill in energies from the record of an external meter",
        description="Align the clocks of a table's marks and of a meter's record, and fill in the energies.",
    )
    joined.add_argument("table", type=Path, metavar="BENCH.csv", help="what bench wrote, with its marks beside it")
    joined.add_argument("record", type=Path, metavar="METER.csv", help="times and powers")
    _meter_flags(joined)
    joined.set_defaults(run=_bench_join)


def _meter_flags(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--meter-time-column", metavar="NAME", help="of the meter's file, where its name does not tell")
    add("--meter-power-column", metavar="NAME", help="same; W, unless its name says mW")
    add("--max-offset-s", type=float, default=120.0, help="the most that the clocks differ (default 120)")


def _bench(arguments: argparse.Namespace) -> int:
    from edge_agent.benchmark.command import bench  # noqa: PLC0415 - an agent that runs does not need it

    return bench(arguments)


def _bench_join(arguments: argparse.Namespace) -> int:
    from edge_agent.benchmark.command import bench_join  # noqa: PLC0415 - an agent that runs does not need it

    return bench_join(arguments)
