"""The networks that rows are held against: what is known of an architecture by its name."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from controller.models.manifest import Variant
from controller.models.naming import split

SOURCES = ("hf_hub:", "hf-hub:", "local-dir:", "timm/", "timm:")
TAG = re.compile(r"(?<=[a-z0-9])\.[a-z][a-z0-9_]*$")
"""What timm puts behind an architecture to name its weights: the a1_in1k of resnet18.a1_in1k."""

BATCH = re.compile(r"__b(\d+)__(\d+)$")
"""The batch and the side of the input as some benchmarks put them behind a name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """An architecture: millions of parameters, 10^9 multiply-adds at each side of the input that somebody counted.

    `gmacs_published` at the first of these sides is right too: others count attention or fused branches otherwise.
    """

    name: str
    params_m: float
    gmacs_at: Mapping[int, float]
    gmacs_published: float | None = None

    def gmacs(self, input_res: int | None) -> float:
        """Return the multiply-adds at `input_res`, those of the nearest size scaled by area; at the first if None."""
        if input_res is None:
            return next(iter(self.gmacs_at.values()))
        side = min(self.gmacs_at, key=lambda each: abs(each - input_res))
        return self.gmacs_at[side] * (input_res / side) ** 2

    def published(self, input_res: int | None) -> float | None:
        """Return the published multiply-adds at `input_res`, scaled by area."""
        if self.gmacs_published is None:
            return None
        side = next(iter(self.gmacs_at))
        return self.gmacs_published * ((input_res or side) / side) ** 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """A model's name taken apart: `network` without source and weights, its variant, and batch and size where told."""

    network: str
    variant: Variant = "fp32"
    batch: int | None = None
    input_res: int | None = None


Known = Callable[[str], Network | None]
"""From the `network` of a name to what is known of it."""


@lru_cache(maxsize=4_096)
def taken_apart(model: str) -> Name:
    """Return the parts of a model's name: `hf_hub:timm/resnet18.a1_in1k` is resnet18, as `timm/resnet18` is."""
    name = model.strip().lower()
    while found := next((source for source in SOURCES if name.startswith(source)), None):
        name = name.removeprefix(found)
    batch = BATCH.search(name)
    if batch:
        name = name[: batch.start()]
    name, variant = split(name)
    return Name(
        network=TAG.sub("", name),
        variant=variant,
        batch=int(batch[1]) if batch else None,
        input_res=int(batch[2]) if batch else None,
    )
