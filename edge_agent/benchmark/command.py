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
from edge_agent.benchmark.join import join
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
    joined.set_defaults(run=_join)


def _meter_flags(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--meter-time-column", metavar="NAME", help="of the meter's file, where its name does not tell")
    add("--meter-power-column", metavar="NAME", help="same; W, unless its name says mW")
    add("--max-offset-s", type=float, default=120.0, help="the most that the clocks differ (default 120)")


def _bench(arguments: argparse.Namespace) -> int:
    settings = settings_of(arguments)
    subjects, many = _subjects(arguments, settings)
    bench = _set_up(arguments, settings)
    external: Path | None = arguments.external_meter
    table = arguments.csv or (DEFAULT_TABLE if many or external else None)
    if table is None:
        return _one(subjects[0], bench)
    try:
        with opened(table) as rows_here:
            tally = sweep(subjects, rows_here, bench, again=arguments.again)
    except KeyboardInterrupt:
        _tell(f"stopped; {table} is whole, and the same command goes on from there")
        return INTERRUPTED
    _tell(f"{tally.measured} measured, {tally.failed} failed, {tally.there} were there")
    if external is not None:
        _tell(f"joining it with {external}; to do that again: edgewatt-agent bench-join {table} {external}")
        _fill(table, external, arguments)
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
    plan = _plan(arguments)
    device_type = settings.device_type or vitals.device_type(vitals.board_name())
    found, _ = working(installed(settings.threads, settings.provider))
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
            meter=power.NONE if plan.external else settings.meter,
            simulate=settings.simulate,
            seed=settings.seed,
        ),
        runtimes=found,
        features=features.read(arguments.features) if arguments.features else {},
        limit_s=arguments.limit_s or LIMIT_S + plan.min_s,
        tell=_tell,
    )


def _plan(arguments: argparse.Namespace) -> Plan:
    """Return how to measure; an external meter of one reading a second needs time to see it."""
    external = arguments.external_meter is not None
    usual = {"min_s": 20.0 if external else 0.0, "idle_s": 5.0 if external else 3.0}
    given = {name: getattr(arguments, name) for name in ("runs", "warmup", "min_s", "idle_s")}
    numbers: dict[str, Any] = {name: usual[name] if value is None else value for name, value in given.items()}
    for name, value in numbers.items():
        if not 0 <= value < float("inf"):
            raise InvalidError(f"--{name.replace('_', '-')} must not be negative", code="bad_setting")
    return Plan(**numbers, external=external)


def _join(arguments: argparse.Namespace) -> int:
    _fill(arguments.table, arguments.record, arguments)
    print(arguments.table)
    return DONE


def _fill(table: Path, record: Path, arguments: argparse.Namespace) -> None:
    """Fill the energies in, and say how the clocks stood and what was left out."""
    joined = join(
        table,
        record,
        time_column=arguments.meter_time_column,
        power_column=arguments.meter_power_column,
        most_s=arguments.max_offset_s,
    )
    found = joined.alignment
    _tell(
        f"the meter's clock is {found.offset_s:+.2f} s from the device's, within {found.uncertainty_s:.2f} s "
        f"(correlation {found.correlation:.2f} over {found.runs} models)"
    )
    for model, reason in joined.left.items():
        _tell(f"{model}: left as it was, {reason}")
    _tell(f"{len(joined.filled)} energies filled in")


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
