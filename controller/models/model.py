"""A model as people see it: what it is, what it computes, and the artifacts that hold it."""

from dataclasses import dataclass

from controller.models.manifest import Artifact, Variant
from controller.models.versions import SHORT
from controller.predict.features import Features

BYTES_PER_WEIGHT: dict[Variant, int] = {"fp32": 4, "fp16": 2, "int8": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What is known of a model; its facts are those of its first artifact, or of the list of what could be made.

    `artifacts` holds the newest sound one of each format, none for a model that is only listed; `damaged` the SHA-256
    of newer ones that are left out. `size_mb` in 10^6 bytes of the file, `top1_pct` on held-out data and None where
    nobody measured it, as `top1_source` says; `trained` None where nothing says so. `gmacs_published` is timm's figure
    for the architecture, and `note` why it differs from ours. `promoted_sha256` is what the promoted version is
    called by, of so many `versions` in the store.
    """

    name: str
    variant: Variant
    size_mb: float | None
    params_m: float
    gmacs: float
    macts_m: float | None
    dw_gmacs: float
    n_convs: int
    quantized: bool
    opset: int | None
    input_shape: tuple[int, ...]
    input_res: int | None
    top1_pct: float | None
    trained: bool | None
    source: str
    labels: int
    popular: bool
    family: str | None = None
    top1_source: str | None = None
    gmacs_published: float | None = None
    note: str | None = None
    versions: int = 0
    promoted_sha256: str | None = None
    artifacts: tuple[Artifact, ...] = ()
    damaged: tuple[str, ...] = ()

    @property
    def means(self) -> str | None:
        """What the bare name means where it says which version, in words; None where nothing is stored."""
        if self.promoted_sha256 is not None:
            return f"version {self.promoted_sha256[:SHORT]}, promoted"
        if not self.stored:
            return None
        return (
            "its only version" if self.versions == 1 else f"the newest file of each format, of {self.versions} versions"
        )

    @property
    def stored(self) -> bool:
        """Whether there are bytes to deploy."""
        return bool(self.artifacts)

    @property
    def preferred(self) -> Artifact | None:
        """The artifact that the facts were read from."""
        return self.artifacts[0] if self.artifacts else None

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats it is stored in, the preferred one first."""
        return tuple(artifact.format for artifact in self.artifacts)

    @property
    def format(self) -> str | None:
        """The format of the preferred artifact, None where nothing is stored."""
        return self.preferred.format if self.preferred else None

    @property
    def artifact_sha256(self) -> str | None:
        """The SHA-256 of the preferred artifact, None where nothing is stored."""
        return self.preferred.sha256 if self.preferred else None

    @property
    def size(self) -> int | None:
        """The bytes of the preferred artifact, None where nothing is stored."""
        return self.preferred.size if self.preferred else None

    @property
    def digests(self) -> frozenset[str]:
        """The SHA-256 of every artifact: what was measured with one of them was measured with this model."""
        return frozenset(artifact.sha256 for artifact in self.artifacts)

    @property
    def features(self) -> Features:
        """What a predictor asks about this model; a size that is not known yet is that of its weights."""
        size_mb = self.params_m * BYTES_PER_WEIGHT[self.variant] if self.size_mb is None else self.size_mb
        return Features(
            params_m=self.params_m,
            gmacs=self.gmacs,
            size_mb=size_mb,
            macts_m=self.macts_m,
            input_res=self.input_res,
            quantized=self.quantized,
            dw_gmacs=self.dw_gmacs,
            n_convs=self.n_convs,
        )
