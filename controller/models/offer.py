"""Chooses the artifact that a device is offered, and says why it is not offered the others."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from controller.models.manifest import FORMATS, Artifact, Format
from controller.models.readers import Reader, readers

RESERVE_MB = 8.0
"""What an agent keeps free on its disk; it refuses a download that would not leave this."""

COPIES_IN_MEMORY = 2
"""While a model is loaded, its file and the weights read from it are in memory at once."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """An artifact that is not offered, by its format, with the reason."""

    what: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a device is offered, the `runtime` that is to run it, and what it is not offered."""

    artifact: Artifact | None
    runtime: str | None
    rejected: tuple[Rejected, ...] = ()

    @property
    def reasons(self) -> str:
        """Why the rejected artifacts are, in one line."""
        return "; ".join(f"{each.what} {each.reason}" for each in self.rejected)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A format that a device could take, with the limits that a file of it has to keep; None where there are none."""

    format: Format
    runtime: str
    opset_max: int | None = None
    ir_max: int | None = None
    dynamic_int8: bool = True


def offer(artifacts: Sequence[Artifact], info: Mapping[str, Any] | None, *, held: Collection[str] = ()) -> Offer:
    """Return the first of `artifacts` that the device of `info` runs, its first runtime before the others.

    The SHA-256 in `held` are on the device already and need no disk.
    """
    able = readers(info)
    for reader in able:
        for artifact in artifacts:
            if _refusal(artifact, (reader,), info or {}, held) is None:
                others = tuple(_rejected(a, able, info or {}, held) for a in artifacts if a is not artifact)
                return Offer(
                    artifact=artifact, runtime=reader.name or None, rejected=tuple(r for r in others if r is not None)
                )
    refused = (_rejected(artifact, able, info or {}, held) for artifact in artifacts)
    return Offer(artifact=None, runtime=None, rejected=tuple(r for r in refused if r is not None))


def wanted_formats(info: Mapping[str, Any] | None) -> tuple[Wanted, ...]:
    """Return what could be made for the device of `info`, what its first runtime reads first."""
    found: dict[str, Wanted] = {}
    for reader in readers(info):
        for form in FORMATS:
            if form in reader.formats and form not in found:
                found[form] = Wanted(
                    format=form,
                    runtime=reader.name,
                    opset_max=reader.opset_max if form == "onnx" else None,
                    ir_max=reader.ir_max if form == "onnx" else None,
                    dynamic_int8=reader.dynamic_int8,
                )
    return tuple(found.values())


def _rejected(
    artifact: Artifact, able: Sequence[Reader], info: Mapping[str, Any], held: Collection[str]
) -> Rejected | None:
    reason = _refusal(artifact, able, info, held)
    return Rejected(artifact.format, reason) if reason else None


def _refusal(artifact: Artifact, able: Sequence[Reader], info: Mapping[str, Any], held: Collection[str]) -> str | None:
    """Return why none of `able` can run `artifact` on that device, or None."""
    refusals = [reader.refusal(artifact) for reader in able]
    if all(refusals):
        read = [r for r, reader in zip(refusals, able, strict=True) if r and artifact.format in reader.formats]
        names = ", ".join(reader.said for reader in able) or "it has no runtime"
        return ", ".join(read) if read else f"is read by none of its runtimes ({names})"
    return _too_large(artifact, info, held)


def _too_large(artifact: Artifact, info: Mapping[str, Any], held: Collection[str]) -> str | None:
    size_mb, disk_mb, ram_mb = artifact.size / 1e6, info.get("disk_free_mb"), info.get("ram_mb")
    if disk_mb is not None and artifact.sha256 not in held and size_mb + RESERVE_MB > disk_mb:
        return f"needs {size_mb:.1f} MB of disk, {disk_mb:.0f} MB are free and {RESERVE_MB:.0f} MB stay so"
    if ram_mb is not None and COPIES_IN_MEMORY * size_mb > ram_mb:
        return f"needs {COPIES_IN_MEMORY * size_mb:.0f} MB of memory to load, the device has {ram_mb:.0f} MB"
    return None
