"""The commands `bench` and `bench-join`: what they take, and what they print."""

import argparse
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from broker.errors import ArtifactError, InvalidError
from edge_agent import power, vitals
from edge_agent.benchmark import features
from edge_agent.benchmark.child import Order
from edge_agent.benchmark.figures import Plan
from edge_agent.benchmark.subjects import Subject, in_catalogue, on_disk
from edge_agent.benchmark.sweep import Bench, sweep
from edge_agent.benchmark.table import opened
from edge_agent.flags import add_settings, settings_of
from edge_agent.runtimes import working
from edge_agent.runtimes.installed import installed
from edge_agent.settings import Settings

DONE, FAILED, PARTLY, INTERRUPTED = 0, 1, 5, 130
"""Exit codes: all measured, none, some not, Ctrl-C."""

DEFAULT_TABLE = Path("benchmarks.csv")

LIMIT_S = 300.0


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
    add("--min-s", type=float, default=0.0, help="go on for at least that long")
    add("--idle-s", type=float, default=3.0, help="rest before each model, for idle power (default 3)")
    add("--limit-s", type=float, help="give a model up after that long (default 300, more with --min-s)")
    add("--csv", type=Path, metavar="FILE", help=f"add a row for each model; of many models {DEFAULT_TABLE} otherwise")
    add("--again", action="store_true", help="measure anew what the file has rows of")
    add("--features", type=Path, metavar="FILE", help="a CSV with name, params_m and gmacs, for files that say neither")
    add_settings(bench)
    bench.set_defaults(run=_bench)


def _bench(arguments: argparse.Namespace) -> int:
    settings = settings_of(arguments)
    subjects, many = _subjects(arguments, settings)
    bench = _set_up(arguments, settings)
    table = arguments.csv or (DEFAULT_TABLE if many else None)
    if table is None:
        return _one(subjects[0], bench)
    try:
        with opened(table) as rows_here:
            tally = sweep(subjects, rows_here, bench, again=arguments.again)
    except KeyboardInterrupt:
        _tell(f"stopped; {table} is whole, and the same command goes on from there")
        return INTERRUPTED
    _tell(f"{tally.measured} measured, {tally.failed} failed, {tally.there} were there")
    print(table)
    if not tally.failed:
        return DONE
    return PARTLY if tally.measured or tally.there else FAILED


def _one(subject: Subject, bench: Bench) -> int:
    """Measure one model and print its figures."""
    _, answer = bench.measured(Subject(model=subject.model, format=subject.format, path=subject.path))
    if answer.figures is None:
        raise ArtifactError(f"cannot measure {subject.path}: {answer.error}")
    figures = answer.figures.result | {"rss_mb": answer.rss_mb, "rss_peak_mb": answer.rss_peak_mb}
    for name, value in figures.items():
        print(f"{name:20} {'; '.join(value) if isinstance(value, list) else value}")
    return DONE


def _set_up(arguments: argparse.Namespace, settings: Settings) -> Bench:
    for name in ("runs", "warmup", "min_s", "idle_s"):
        if not 0 <= getattr(arguments, name) < float("inf"):
            raise InvalidError(f"--{name.replace('_', '-')} must not be negative", code="bad_setting")
    plan = Plan(runs=arguments.runs, warmup=arguments.warmup, min_s=arguments.min_s, idle_s=arguments.idle_s)
    device_type = settings.device_type or vitals.device_type(vitals.board_name())
    found, _ = working(installed(settings.threads))
    if not settings.simulate:
        _check_meter(device_type, settings.meter)
    return Bench(
        order=Order(
            path="",
            format="",
            runtime="",
            plan=plan,
            device_type=device_type,
            threads=settings.threads,
            meter=settings.meter,
            simulate=settings.simulate,
            seed=settings.seed,
        ),
        runtimes=found,
        features=features.read(arguments.features) if arguments.features else {},
        limit_s=arguments.limit_s or LIMIT_S + arguments.min_s,
        tell=_tell,
    )


def _check_meter(device_type: str, wanted: str) -> None:
    """Say which sensors are there and give no figure; raises InvalidError for a wanted meter that is not here."""
    if wanted == power.AUTO:
        for reason in power.refused():
            _tell(f"no meter: {reason}")
    else:
        power.pick(device_type, wanted=wanted)


def _subjects(arguments: argparse.Namespace, settings: Settings) -> tuple[tuple[Subject, ...], bool]:
    """Return what to measure, and whether it may be more than one."""
    if (arguments.model is None) == (arguments.everything is None):
        raise InvalidError("name a model, a folder, or --all with a folder or URL", code="bad_setting")
    where = arguments.everything or str(arguments.model)
    if urlsplit(where).scheme in ("http", "https"):
        return in_catalogue(where, settings.data / "bench"), True
    path = Path(where)
    return on_disk(path), path.is_dir()


def _tell(said: str) -> None:
    print(said, file=sys.stderr)
