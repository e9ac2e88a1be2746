"""Reads the network that a request names, wherever it comes from; each source brings its own packages."""

from pathlib import Path

from broker.errors import InvalidError
from controller.workshop.network import Network
from controller.workshop.progress import Tell
from controller.workshop.request import Source


def read(source: Source, tell: Tell) -> Network:
    """Return the network that `source` names, telling how far a download is. Raises EdgeWattError."""
    match source.kind:
        case "package":
            from controller.workshop.package_networks import packaged  # noqa: PLC0415  # needs its package

            return packaged(source.name)
        case "timm" if source.pretrained:
            from controller.workshop.hub_networks import pretrained  # noqa: PLC0415  # needs the hub's client

            return pretrained(source.name, tell)
        case "timm":
            from controller.workshop.timm_networks import untrained  # noqa: PLC0415  # torch takes seconds

            return untrained(source.name)
        case "safetensors":
            from controller.workshop.weight_files import with_weights  # noqa: PLC0415  # same

            return with_weights(_given(source), source.architecture)
        case "onnx":
            from controller.workshop.onnx_network import OnnxNetwork  # noqa: PLC0415  # same

            return OnnxNetwork.read(_given(source))


def _given(source: Source) -> Path:
    path = Path(source.path)
    if not source.path or not path.is_file():
        raise InvalidError(f"there is no file {source.path!r}", code="bad_artifact", hint="check the path")
    return path
