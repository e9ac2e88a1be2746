"""Counts every classification architecture of timm that a small board could hold, and writes data/models.csv.

`python -m controller.models.census --results TABLE` counts on the meta device, so no weights are fetched; it needs the
extra `models`. A census that was stopped goes on where it was; one architecture that fails does not end it.
"""

import argparse
import csv
import io
import sys
from collections.abc import Collection, Iterable
from dataclasses import astuple
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import torch

from broker.errors import EdgeWattError
from controller.models import listed, results
from controller.models.census_report import Report
from controller.models.cpu_torch import load_timm
from controller.models.differences import Parts, note
from controller.models.families import POPULAR, family
from controller.models.listed import COLUMNS, LABELS, Listed
from controller.models.results import Results
from controller.models.shipped import DATA
from controller.models.tracing import Trace, trace

MAX_PARAMS_M = 100

LABEL_SETS = {LABELS, 11_221, 11_821, 19_168, 21_841, 21_842, 21_843}
"""How many labels the sets of ImageNet have that timm's weights answer; other sizes of an answer are embeddings."""


class LeftOutError(Exception):
    """An architecture that belongs into no list, with the reason."""


def main(arguments: list[str] | None = None) -> int:
    """Count what is asked for on the command line and write the table; 1 when a file of results cannot be used."""
    options = _options(arguments)
    try:
        published = results.read(options.results)
        names = [name for name in load_timm().list_models() if fnmatchcase(name, options.only)]
        found = counted(names, Report(options.report, load_timm().__version__))
        rows = [row(name, counts, published) for name, counts in found.items()]
        write(options.out, rows if options.only == "*" else _merged(options.out, rows))
    except EdgeWattError as error:
        print(f"{error}: {error.hint}", file=sys.stderr)  # noqa: T201  # a command line
        return 1
    except KeyboardInterrupt:
        print(f"stopped; the same command goes on from {options.report}", file=sys.stderr)  # noqa: T201  # as above
        return 130
    print(f"{len(rows)} of {len(names)} listed; {options.report} says why the others are not", file=sys.stderr)  # noqa: T201
    return 0


def counted(names: Collection[str], report: Report) -> dict[str, Trace]:
    """Return what each of `names` computes that can be listed; what `report` knows is not counted again."""
    found = {}
    for position, name in enumerate(names, 1):
        finding = report.get(name)
        if finding is None:
            finding = _finding(name)
            report.add(name, finding)
            print(f"{position} of {len(names)}: {name}", file=sys.stderr)  # noqa: T201  # a command line
        if isinstance(finding, Trace):
            found[name] = finding
    return found


def count(name: str) -> Trace:
    """Return what the architecture `name` computes at its default size, with a thousand labels.

    Raises LeftOutError for one that is too large or answers no labels; timm's own errors for one that fails.
    """
    settings = load_timm().models.get_pretrained_cfg(name)
    if settings is None or (settings.num_classes not in LABEL_SETS and not _weights(name)):
        raise LeftOutError("it answers embeddings, not labels")
    with torch.device("meta"):
        network = load_timm().create_model(name, num_classes=LABELS)
    params_m = sum(p.numel() for p in network.parameters()) / 1e6
    if params_m > MAX_PARAMS_M:
        raise LeftOutError(f"it has {params_m:.0f} million parameters, more than {MAX_PARAMS_M}")
    return trace(network, settings.input_size[-1])


def row(name: str, counts: Trace, published: Results) -> Listed:
    """Return the row of the architecture `name`: its `counts` beside what timm published."""
    settings = load_timm().models.get_pretrained_cfg(name)
    side = settings.input_size[-1]
    result = results.best(published, name, side, _weights(name))
    known = result or results.untrained(published, name, side)
    default = settings.tag if f"{name}.{settings.tag}" in _weights(name) else None
    parts = Parts(gmacs=counts.macs / 1e9, attention=counts.attention_macs / 1e9, norms=counts.norm_operations / 1e9)
    return Listed(
        name=name,
        family=family(name),
        pretrained=result.weights.partition(".")[2] if result else default,
        params_m=_six(counts.params / 1e6),
        gmacs=_six(parts.gmacs),
        macts_m=_six(counts.activations / 1e6) or None,
        dw_gmacs=_six(counts.depthwise_macs / 1e9),
        n_convs=counts.convs,
        input_res=side,
        top1_pct=result.top1_pct if result else None,
        top1_source=result.source if result else None,
        gmacs_published=known.gmacs if known else None,
        note=note(parts, known.gmacs if known else None),
        popular=name in POPULAR,
    )


def write(path: Path, rows: Iterable[Listed]) -> None:
    """Replace the table at `path` by `rows`, in the order of their names."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows(map(_cells, sorted(rows, key=lambda each: each.name)))
    part = path.with_name(f"{path.name}.part")
    part.write_text(text.getvalue(), encoding="utf-8")
    part.replace(path)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m controller.models.census", description="Count timm's networks.")
    parser.add_argument("--results", type=Path, required=True, help="timm's published results, one row a size")
    parser.add_argument("--only", default="*", help="names to count, such as 'resnet*'; other rows stay as they are")
    parser.add_argument("--out", type=Path, default=DATA / "models.csv")
    parser.add_argument(
        "--report", type=Path, default=Path("build/census.jsonl"), help="a line a network: its counts or why it is out"
    )
    return parser.parse_args(arguments)


def _finding(name: str) -> Trace | str:
    try:
        return count(name)
    except LeftOutError as reason:
        return str(reason)
    except Exception as error:  # noqa: BLE001  # a thousand networks by hundreds of authors: any may raise anything
        return f"{type(error).__name__}: {error}".splitlines()[0]


@cache
def _all_weights() -> frozenset[str]:
    """Return the names of all weights of timm that answer ImageNet-1k."""
    models = load_timm().models
    return frozenset(name for name in models.list_pretrained() if models.get_pretrained_cfg(name).num_classes == LABELS)


def _weights(name: str) -> frozenset[str]:
    return frozenset(each for each in _all_weights() if each.partition(".")[0] == name)


def _merged(path: Path, rows: Iterable[Listed]) -> list[Listed]:
    """Return the table at `path`, where there is one, with `rows` in place of those of their names."""
    before = dict(listed.read(path)) if path.exists() else {}
    return list((before | {each.name: each for each in rows}).values())


def _cells(model: Listed) -> list[str | int | float]:
    values = ("" if value is None else value for value in astuple(model))
    return [int(value) if isinstance(value, bool) else value for value in values]


def _six(figure: float) -> float:
    """Return `figure` with six significant digits: what the table keeps."""
    return float(f"{figure:.6g}")


if __name__ == "__main__":
    sys.exit(main())
