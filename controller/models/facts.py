"""What a model file says about itself, the same facts whichever format it is in."""

import math
from dataclasses import dataclass
from typing import Literal

from broker.errors import ArtifactError
from controller.models.manifest import Format, Quantization, Variant
from controller.predict.features import Features

Precision = Literal["fp32", "fp16", "weight-only int8", "dynamic int8", "static int8"]
"""In what numbers most of the work is done: weight-only stores in int8 and computes in floats, dynamic finds the range
of activations while it runs, static has it from calibration."""

MAX_ELEMENTS = 268_435_456
"""1 GiB of fp32 in a single tensor: no board of a fleet holds more."""

MAX_NODES = 100_000
"""A network for a small board has hundreds of operators; reading stays a matter of seconds up to here."""

VARIANTS: dict[Precision, Variant] = {
    "fp32": "fp32",
    "fp16": "fp16",
    "weight-only int8": "int8",
    "dynamic int8": "int8",
    "static int8": "int8",
}

QUANTIZATIONS: dict[Precision, Quantization] = {"dynamic int8": "dynamic", "static int8": "static"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What a file says about itself; `params` counted as if in fp32, `size_mb` 10^6 bytes of the file.

    `opset` and `ir_version` are None for TFLite. `dtypes` are of inputs and outputs. `notes` are sentences on what the
    figures leave out.
    """

    format: Format
    params: int
    macs: int
    depthwise_macs: int
    activations: int
    convs: int
    input_res: int
    size_mb: float
    opset: int | None
    ir_version: int | None
    inputs: dict[str, tuple[int, ...]]
    outputs: dict[str, tuple[int, ...]]
    dtypes: dict[str, str]
    operators: dict[str, int]
    precision: Precision
    metadata: dict[str, str]
    notes: tuple[str, ...] = ()

    @property
    def quantized(self) -> bool:
        """Whether most of the work is done in integers."""
        return self.precision in QUANTIZATIONS

    @property
    def quantization(self) -> Quantization | None:
        """Where the ranges of activations come from in a file that is computed in integers."""
        return QUANTIZATIONS.get(self.precision)

    @property
    def variant(self) -> Variant:
        """What the weights are kept in."""
        return VARIANTS[self.precision]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of the first input, batch first."""
        return next(iter(self.inputs.values()))

    @property
    def features(self) -> Features:
        """The same facts as a predictor takes them; without convolutions no activations are known."""
        return Features(
            params_m=self.params / 1e6,
            gmacs=self.macs / 1e9,
            size_mb=self.size_mb,
            macts_m=self.activations / 1e6 or None,
            input_res=self.input_res or None,
            quantized=self.quantized,
            dw_gmacs=self.depthwise_macs / 1e9,
            n_convs=self.convs,
        )


def check_shape(file: str, tensor: str, shape: tuple[int, ...], *, smallest: int) -> None:
    """Raise ArtifactError where a side of `tensor` is under `smallest` or it has more elements than any board holds."""
    if any(d < smallest for d in shape) or math.prod(shape) > MAX_ELEMENTS:
        raise ArtifactError(
            f"{file}: tensor {tensor[:80]!r} has the absurd shape {'x'.join(map(str, shape[:8]))}",
            hint=f"at most {MAX_ELEMENTS:,} elements and no negative side",
        )


def check_node_count(file: str, nodes: int) -> None:
    """Raise ArtifactError for more operators than a network has."""
    if nodes > MAX_NODES:
        raise ArtifactError(
            f"{file} has over {MAX_NODES:,} operators", hint="no network for a small board has; is it damaged?"
        )
