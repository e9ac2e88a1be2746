"""Takes a network to the wanted format and variant: by way of fp32 in the same format, then halved or quantised."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from controller.models.manifest import Format, Variant
from controller.workshop.network import Floats, Network
from controller.workshop.progress import Tell


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """The file that was wanted, the one in fp32 that it was made from (itself for fp32), and the tools."""

    path: Path
    whole: Path
    tools: dict[str, str]


def convert(
    network: Network, wanted: tuple[Format, Variant], calibration: Sequence[Floats], *, folder: Path, tell: Tell
) -> Converted:
    """Write `network` as `wanted` into `folder`; raises ArtifactError (`unsupported_operator`, `conversion_failed`)."""
    form, variant = wanted
    whole = folder / f"fp32.{form}"
    tell(0.2, f"converting it to {form}")
    tools = _tflite(network, whole) if form == "tflite" else network.write_onnx(whole)
    if variant == "fp32":
        return Converted(path=whole, whole=whole, tools=tools)
    path = folder / f"{variant}.{form}"
    how = f"measuring its activations on {len(calibration)} inputs" if variant == "int8" else "halving its weights"
    tell(0.6, how)
    return Converted(path=path, whole=whole, tools=tools | reduce(form, whole, path, variant, calibration))


def _tflite(network: Network, path: Path) -> dict[str, str]:
    from controller.workshop.tflite_export import write_tflite  # noqa: PLC0415  # takes seconds to import

    return write_tflite(network.module(), network.card.shape, path)


def reduce(form: Format, whole: Path, path: Path, variant: Variant, calibration: Sequence[Floats]) -> dict[str, str]:
    """Write the fp32 file `whole` at `path` in `variant` and return the tool; raises ArtifactError as `convert`."""
    if form == "tflite":
        from controller.workshop import tflite_variants  # noqa: PLC0415  # same

        return tflite_variants.write_variant(whole, path, variant, calibration)
    from controller.workshop import onnx_variants  # noqa: PLC0415  # same

    return onnx_variants.write_variant(whole, path, variant, calibration)
