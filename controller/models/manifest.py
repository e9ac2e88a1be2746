"""What is known of an artifact beside its bytes: names, variant, maker, and how well it agrees with its source."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from broker.signing import canonical_manifest

Variant = Literal["fp32", "fp16", "int8"]
Format = Literal["onnx", "tflite"]
Quantization = Literal["static", "dynamic"]

FORMATS: tuple[Format, ...] = get_args(Format)
"""The first is preferred where a device does not matter: its file says most about itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """How a converted file answers golden inputs beside what it was made from.

    `max_abs` and `cosine` (the worst of all inputs) compare outputs; `top1_agreement` is the share, 0 to 1, of inputs
    with the same strongest answer.
    """

    against: str
    inputs: int
    max_abs: float
    cosine: float
    top1_agreement: float


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What the maker of an artifact says of it; `made_by` names each tool with its version.

    `quantization`: of an int8 file, whether its activations are integers of known ranges (`static`) or scaled anew for
    each input (`dynamic`), None where nobody said. `made_from` is the SHA-256 of the stored file, or the
    published network, that a workshop's file comes from; `top1_pct` what the owner of an uploaded file claims.
    """

    variant: Variant = "fp32"
    quantization: Quantization | None = None
    opset: int | None = None
    ir_version: int | None = None
    made_by: dict[str, str] = field(default_factory=dict)
    golden: Golden | None = None
    licence: str | None = None
    source: str | None = None
    made_from: str | None = None
    top1_pct: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One file of the store: its content's SHA-256, size in bytes, format and the models it is known as.

    `signatures` holds one Ed25519 signature per model where a key is configured; `deployed_at` is when a device was
    last told to fetch it, Unix seconds, None for never. The models in `archived` are put away; of those in `promoted`
    its version is what their name means since then (Unix seconds), unless another was promoted later. An artifact
    with an `evicted_at` has lost its bytes to make room.
    """

    sha256: str
    size: int
    format: str
    models: tuple[str, ...]
    created_at: float
    about: About = field(default_factory=About)
    signatures: dict[str, str] = field(default_factory=dict)
    deployed_at: float | None = None
    archived: tuple[str, ...] = ()
    promoted: dict[str, float] = field(default_factory=dict)
    evicted_at: float | None = None


def signed_part(artifact: Artifact, model: str, gen: int | None = None) -> bytes:
    """Return what is signed of `artifact` as `model`, for the deployment `gen` where there is one."""
    return canonical_manifest(model=model, sha256=artifact.sha256, size=artifact.size, format=artifact.format, gen=gen)
