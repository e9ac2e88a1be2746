"""The commands `bench` and `bench-join`: what they do, and what they print."""

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
from edge_agent.benchmark.grammar import DEFAULT_TABLE
from edge_agent.benchmark.join import join
from edge_agent.benchmark.subjects import Subject, in_catalogue, on_disk
from edge_agent.benchmark.sweep import Bench, sweep
from edge_agent.benchmark.table import opened
from edge_agent.flags import settings_of
from edge_agent.runtimes import working
from edge_agent.runtimes.installed import installed
from edge_agent.settings import Settings

DONE, FAILED, PARTLY, INTERRUPTED = 0, 1, 5, 130
"""Exit codes: all measured, none, some not, Ctrl-C."""

LIMIT_S = 300.0


def bench(arguments: argparse.Namespace) -> int:
    """Measure what was asked for; return the exit code. Raises EdgeWattError."""
    settings = settings_of(arguments)
    subjects, many = _subjects(arguments, settings)
    measuring = _set_up(arguments, settings)
    external: Path | None = arguments.external_meter
    table = arguments.csv or (DEFAULT_TABLE if many or external else None)
    if table is None:
        return _one(subjects[0], measuring)
    try:
        with opened(table) as rows_here:
            tally = sweep(subjects, rows_here, measuring, again=arguments.again)
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


def bench_join(arguments: argparse.Namespace) -> int:
    """Fill in what an external meter measured; return the exit code. Raises EdgeWattError."""
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
