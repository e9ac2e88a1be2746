"""Makes one file from a request: network, conversion, golden check, texts, and only then its place."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from controller.models.manifest import About
from controller.workshop import images, running
from controller.workshop.checking import check, samples
from controller.workshop.converting import Converted, convert
from controller.workshop.describing import cost_of, settle, texts, write
from controller.workshop.images import Images
from controller.workshop.network import Network
from controller.workshop.progress import Tell
from controller.workshop.request import Request
from controller.workshop.sources import read


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A finished file and what is known of it."""

    path: Path
    about: About


def make(request: Request, tell: Tell) -> Made:
    """Make what `request` wants in its folder `out`; nothing is there when it fails.

    Raises EdgeWattError: what happened, to what, and what to do; OSError when it cannot be written.
    """
    tell(0.0, f"reading {request.source.name or Path(request.source.path).name}")
    network = read(request.source, tell)
    out = Path(request.out)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".making-") as folder:
        found = _images(request, network)
        calibrating = [network.card.prepared(pixels) for pixels in found.calibrating]
        wanted = (request.format, request.variant)
        converted = convert(network, wanted, calibrating, folder=Path(folder), tell=tell)
        about = _finish(request, network, converted, found, tell)
        path = converted.path.rename(out / f"{request.name}.{request.format}")
    tell(1.0, "done")
    return Made(path=path, about=about)


def _images(request: Request, network: Network) -> Images:
    if request.variant != "int8":
        return Images(calibrating=(), checking=images.a_few(network.card), said="")
    return images.for_integers(network.card, Path(request.calibration) if request.calibration else None)


def _finish(request: Request, network: Network, converted: Converted, found: Images, tell: Tell) -> About:
    """Check the file, write into it what it says of itself, and return what is known of it."""
    card, path = network.card, converted.path
    opset, ir_version = settle(path, request.format)
    tell(0.8, f"comparing its answers with those of {network.spoken_of}")
    golden = check(request, network, path, found.checking)
    carried = samples(card, path, request.format, all_of_them=bool(card.samples))
    extra = cost_of(converted.whole) | ({"edgewatt.calibration": found.said} if found.said else {})
    tell(0.95, "writing what it is into it")
    write(path, request.format, texts(request.name, request.variant, card, carried, extra))
    with path.open("rb") as file:
        os.fsync(file.fileno())
    calibrated = {"calibration": found.said} if found.said else {}
    return About(
        variant=request.variant,
        quantization="static" if request.variant == "int8" else None,
        opset=opset,
        ir_version=ir_version,
        made_by=network.tools | converted.tools | running.runtime_version(request.format) | calibrated,
        golden=golden,
        licence=card.licence,
        source=card.source,
    )
