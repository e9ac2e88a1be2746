"""Tries which networks become which files: `python -m scripts.conversions [NAME …]` goes on with data/conversions.csv.

Each network is tried in a process of its own, with weights drawn from a seed. `make docs` makes the page of the table.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from broker.errors import EdgeWattError
from controller.models.listed import load
from controller.models.manifest import FORMATS, Format, Variant
from controller.models.shipped import DATA
from controller.workshop.network import Network

TABLE = DATA / "conversions.csv"
VARIANTS: tuple[Variant, ...] = ("fp32", "fp16", "int8")
TIMEOUT_S = 900
CALIBRATING, CHECKING = 16, 10
FURTHER = (
    "convnextv2_atto",
    "coat_lite_tiny",
    "cs3darknet_focus_s",
    "efficientformerv2_s0",
    "efficientvit_m0",
    "ese_vovnet19b_slim_dw",
    "fbnetc_100",
    "hardcorenas_b",
    "inception_next_atto",
    "levit_128s",
    "mixnet_s",
    "mobilevitv2_050",
    "pvt_v2_b0",
    "repghostnet_050",
    "repvit_m1",
    "res2net50_14w_8s",
    "rexnet_100",
    "starnet_s050",
    "swiftformer_xs",
    "tiny_vit_5m_224",
    "tinynet_e",
    "xcit_nano_12_p8_224",
)
"""Beside the popular ones: small networks of families that these have none of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """How one conversion went: `said` is empty where there is a file, which answers within `max_abs` and `cosine`."""

    model: str
    format: str
    variant: str
    said: str = ""
    seconds: str = ""
    max_abs: str = ""
    cosine: str = ""


WORDS: dict[Format, str] = {"onnx": "ONNX", "tflite": "TFLite"}
TRIED = """Weights drawn from a seed, 16 crops for calibration, 10 to compare; x86-64, one thread. A cell has the
seconds of that step and the largest difference from PyTorch, for int8 the smallest cosine, of answers without their
mean: random weights make answers that differ little, so it says less than the top-1 agreement of trained ones
(EfficientNet-Lite0: 0.92 as ONNX, 0.87 as TFLite, over 62 images). `no fp32` is what cannot be reduced because the
fp32 file of its line does not exist. What the files are and what they lose is in
[make a model](../how-to/make-a-model.md)."""

COLUMNS = tuple(field.name for field in fields(Tried))


def main() -> None:
    """Try what is not in the table yet, and write it down network by network."""
    parser = argparse.ArgumentParser(prog="python -m scripts.conversions", description="Try which networks convert.")
    parser.add_argument("names", nargs="*", help="networks of timm (default: popular ones and one per further family)")
    parser.add_argument("--one", action="store_true", help="try one network here and print the rows as JSON")
    options = parser.parse_args()
    if options.one:
        print(json.dumps([asdict(row) for row in try_all(options.names[0])]))
        return
    known = {row.model for row in table()}
    for name in options.names or networks():
        if name not in known:
            rows = _apart(name)
            _append(rows)
            print(f"{name}: {sum(not row.said for row in rows)} of {len(rows)} files")


def networks() -> list[str]:
    """Return which networks are tried: timm's popular ones, and some further families."""
    popular = [name for name, listed in load().items() if listed.popular and name != "efficientnet_lite0"]
    return sorted({*popular, *FURTHER})


def table(path: Path = TABLE) -> list[Tried]:
    """Return what was tried so far."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [Tried(**row) for row in csv.DictReader(file)]


def page() -> str:
    """Return the page of conversions: a table, one line per network."""
    rows = table()
    targets = [(form, variant) for form in FORMATS for variant in VARIANTS]
    lines = [
        f"| network | {' | '.join(f'{WORDS[form]} {variant}' for form, variant in targets)} |",
        "|---" * (len(targets) + 1) + "|",
    ]
    found = {(row.model, row.format, row.variant): row for row in rows}
    for model in sorted({row.model for row in rows}):
        cells = (_cell(found.get((model, form, variant))) for form, variant in targets)
        lines.append(f"| `{model}` | {' | '.join(cells)} |")
    made = sum(not row.said for row in rows)
    summary = f"{made} of {len(rows)} conversions ended with a file that answers as its network does."
    return "\n\n".join((TRIED, summary, "\n".join(lines)))


def _cell(row: Tried | None) -> str:
    if row is None:
        return ""
    if row.said:
        return row.said.replace("|", "/")
    figure = f"cos {float(row.cosine):.3f}" if row.variant == "int8" else f"{float(row.max_abs):.0e}"
    return f"{row.seconds} s, {figure}"


def _append(rows: Sequence[Tried]) -> None:
    new = not TABLE.exists()
    with TABLE.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def _apart(name: str) -> list[Tried]:
    """Try `name` in a process of its own, which may die or hang."""
    command = [sys.executable, "-m", "scripts.conversions", "--one", name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=TIMEOUT_S)  # noqa: S603
        return [Tried(**row) for row in json.loads(done.stdout.splitlines()[-1])]
    except (subprocess.SubprocessError, ValueError, IndexError) as error:
        said = f"the process ended: {error}"[:80]
        return [Tried(model=name, format=form, variant=v, said=said) for form in FORMATS for v in VARIANTS]


def try_all(name: str) -> Iterator[Tried]:
    """Convert the network `name` to everything and yield how each went."""
    from controller.workshop import photographs  # noqa: PLC0415  # torch takes seconds
    from controller.workshop.converting import convert, reduce  # noqa: PLC0415
    from controller.workshop.timm_networks import untrained  # noqa: PLC0415

    network = untrained(name)
    card = network.card
    _, _, height, width = card.shape
    calibrating = [card.prepared(p) for p in photographs.crops(height, width, count=CALIBRATING, seed=1)]
    for form in FORMATS:
        with tempfile.TemporaryDirectory() as folder:
            whole = Path(folder) / f"fp32.{form}"
            for variant in VARIANTS:
                path = Path(folder) / f"{variant}.{form}"
                began = time.monotonic()
                try:
                    if variant == "fp32":
                        convert(network, (form, variant), (), folder=Path(folder), tell=lambda *_: None)
                    elif whole.exists():
                        reduce(form, whole, path, variant, calibrating)
                    else:
                        yield Tried(model=name, format=form, variant=variant, said="no fp32")
                        continue
                    took_s = time.monotonic() - began
                    yield _checked(name, network, path, (form, variant), took_s)
                except EdgeWattError as error:
                    yield Tried(model=name, format=form, variant=variant, said=error.message[:120])


def _checked(name: str, network: Network, path: Path, target: tuple[Format, Variant], took_s: float) -> Tried:
    from controller.workshop import photographs, running  # noqa: PLC0415  # as above
    from controller.workshop.golden import compare, judge  # noqa: PLC0415

    card, (form, variant) = network.card, target
    inputs = [card.prepared(p) for p in photographs.crops(*card.shape[2:], count=CHECKING, seed=2)]
    run = running.load(path, form)
    theirs = [network.answer(image) for image in inputs]
    golden = compare([run(image) for image in inputs], theirs, against=network.spoken_of)
    judge(golden, variant, strongest=max(float(a.max()) for a in theirs), trained=False, name=name)
    return Tried(
        model=name,
        format=form,
        variant=variant,
        seconds=f"{took_s:.1f}",
        max_abs=f"{golden.max_abs:.2g}",
        cosine=f"{golden.cosine:.4f}",
    )


if __name__ == "__main__":
    main()
