"""Makes one file from a request: network, conversion, golden check, texts, and only then its place."""

import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx

from broker.errors import ArtifactError
from controller.models.analyze import analyze
from controller.models.manifest import About
from controller.workshop import describing, photographs, running
from controller.workshop.golden import compare, judge
from controller.workshop.network import Floats, Network, Pixels
from controller.workshop.onnx_export import opset_of
from controller.workshop.progress import Tell
from controller.workshop.request import Request, Source

CHECKED_CROPS = 6
NOISE_SEED, CROP_SEED = 7, 11
COLOURS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A finished file and what is known of it."""

    path: Path
    about: About


def make(request: Request, tell: Tell) -> Made:
    """Make what `request` wants in its folder `out`; nothing is there when it fails.

    Raises EdgeWattError: what happened, to what, and what to do.
    """
    if (request.format, request.variant) != ("onnx", "fp32"):
        raise ArtifactError(f"{request.format} in {request.variant} cannot be made", code="conversion_failed")
    tell(0.0, f"reading {request.source.name or Path(request.source.path).name}")
    network = read(request.source)
    out = Path(request.out)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".making-") as folder:
        path = Path(folder) / f"{request.name}.{request.format}"
        tell(0.2, f"converting it to {request.format}")
        tools = network.write_onnx(path)
        tell(0.7, "comparing its answers")
        about = _checked(request, network, path)
        about = replace(about, made_by=network.tools | tools | about.made_by)
        _sync(path)
        done = path.rename(out / path.name)
    tell(1.0, "done")
    return Made(path=done, about=about)


def read(source: Source) -> Network:
    """Return the network that `source` names."""
    if source.kind == "package":
        from controller.workshop.package_networks import packaged  # noqa: PLC0415  # needs its package

        return packaged(source.name)
    if source.kind == "timm" and not source.pretrained:
        from controller.workshop.timm_networks import untrained  # noqa: PLC0415  # torch takes seconds

        return untrained(source.name)
    raise ArtifactError(f"{source.kind} is no source that can be read")


def _checked(request: Request, network: Network, path: Path) -> About:
    """Compare the file's answers with the network's, write them into it, and return what is known of it."""
    card = network.card
    run = running.load(path, request.format)
    named = _named(card.shape)
    inputs = [card.prepared(pixels) for pixels in (*named.values(), *_others(card.shape))]
    theirs = [network.answer(image) for image in inputs]
    golden = compare([run(image) for image in inputs], theirs, against="PyTorch in fp32")
    strongest = max(float(answer.max()) for answer in theirs)
    judge(golden, request.variant, strongest=strongest, trained=card.trained, name=request.name)
    facts = analyze(path)
    cost = {"edgewatt.gmacs": str(facts.macs / 1e9), "edgewatt.params_m": str(facts.params / 1e6)}
    samples = [describing.sample(card, name, image, run(card.prepared(image))) for name, image in named.items()]
    describing.write(path, request.format, describing.texts(request.name, card, samples, cost))
    model = onnx.load(path, load_external_data=False)
    return About(
        variant=request.variant,
        opset=opset_of(model),
        ir_version=model.ir_version,
        made_by=running.runtime_version(request.format),
        golden=golden,
        licence=card.licence,
        source=card.source,
    )


def _named(shape: tuple[int, ...]) -> dict[str, Pixels]:
    _, channels, height, width = shape
    return photographs.whole(height, width) if channels == COLOURS else {}


def _others(shape: tuple[int, ...]) -> list[Pixels]:
    _, channels, height, width = shape
    noise: Floats = np.random.default_rng(NOISE_SEED).random(shape, dtype=np.float32)
    cut = photographs.crops(height, width, count=CHECKED_CROPS, seed=CROP_SEED) if channels == COLOURS else []
    return [*cut, (noise * 255).astype(np.uint8)]


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
