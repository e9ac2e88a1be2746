"""What is known of an artifact beside its bytes: its variant, who made it, how well it agrees with its source."""

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
