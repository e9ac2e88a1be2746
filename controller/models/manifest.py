"""What is known of an artifact beside its bytes: names, variant, maker, and how well it agrees with its source."""

from dataclasses import dataclass, field
from typing import Literal

Variant = Literal["fp32", "fp16", "int8"]
Format = Literal["onnx", "tflite"]


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
    """What the maker of an artifact says of it; `made_by` names each tool with its version."""

    variant: Variant = "fp32"
    opset: int | None = None
    ir_version: int | None = None
    made_by: dict[str, str] = field(default_factory=dict)
    golden: Golden | None = None
    licence: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One file of the store: its content's SHA-256, size in bytes, format and the models it is known as.

    `signatures` holds one Ed25519 signature per model where a key is configured; `deployed_at` is when a device was
    last told to fetch it, Unix seconds, None for never.
    """

    sha256: str
    size: int
    format: str
    models: tuple[str, ...]
    created_at: float
    about: About = field(default_factory=About)
    signatures: dict[str, str] = field(default_factory=dict)
    deployed_at: float | None = None
