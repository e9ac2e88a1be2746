"""Checks artifacts of the store anew: their bytes, their signatures, and what their golden check said."""

from dataclasses import dataclass
from typing import Literal

from broker.signing import Signer, Verifier
from controller.models.manifest import Artifact, Golden, signed_part
from controller.models.store import ArtifactStore

Soundness = Literal["sound", "damaged", "missing"]
Signature = Literal["good", "bad", "none", "unchecked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """An artifact under one of its names; a signature is `unchecked` where no key is configured."""

    model: str
    format: str
    sha256: str
    size: int
    content: Soundness
    signature: Signature
    golden: Golden | None

    @property
    def ok(self) -> bool:
        """Whether it may be offered."""
        return self.content == "sound" and self.signature != "bad"


def check(store: ArtifactStore, artifact: Artifact, model: str, signer: Signer | None) -> Checked:
    """Read all of `artifact` again and check its signature as `model` with the public half of `signer`'s key."""
    return Checked(
        model=model,
        format=artifact.format,
        sha256=artifact.sha256,
        size=artifact.size,
        content=_content(store, artifact),
        signature=_signature(artifact, model, signer),
        golden=artifact.about.golden,
    )


def _content(store: ArtifactStore, artifact: Artifact) -> Soundness:
    if not store.holds(artifact.sha256):
        return "missing"
    return "sound" if store.verify(artifact.sha256) else "damaged"


def _signature(artifact: Artifact, model: str, signer: Signer | None) -> Signature:
    known = artifact.signatures.get(model)
    if known is None:
        return "none"
    if signer is None:
        return "unchecked"
    return "good" if Verifier(signer.public_key).accepts(known, signed_part(artifact, model)) else "bad"
