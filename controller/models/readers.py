"""What the runtimes of a device read: as the device says, else as their versions are known to."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controller.models.manifest import Artifact

OPSETS = (
    ((1, 0), 11, 6),
    ((1, 3), 12, 7),
    ((1, 6), 13, 7),
    ((1, 8), 14, 7),
    ((1, 9), 15, 8),
    ((1, 11), 16, 8),
    ((1, 12), 17, 8),
    ((1, 14), 18, 8),
    ((1, 15), 19, 9),
    ((1, 17), 20, 9),
    ((1, 18), 21, 10),
    ((1, 22), 22, 10),
)
"""From this version of onnxruntime on: the highest opset and IR version that it reads.

Opsets: onnxruntime, docs/Versioning.md; the IR of each opset: onnx.helper.VERSION_TABLE.
"""

BEYOND = (1, 23)
"""Newer than the table: what such a runtime cannot read is not known here."""

WRONG_DYNAMIC = re.compile(r"2\.14(\.|$)")
"""tflite-runtime 2.14 answers wrongly, without an error, from files whose ranges are scaled anew for each input."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """A runtime of a device; None where nothing limits it, or nobody knows."""

    name: str
    version: str
    formats: tuple[str, ...]
    opset_max: int | None = None
    ir_max: int | None = None
    dynamic_int8: bool = True

    @property
    def said(self) -> str:
        """The runtime as people call it."""
        return f"{self.name} {self.version}".strip() or "this device"

    def refusal(self, artifact: Artifact) -> str | None:
        """Return why this runtime cannot run `artifact`, or None."""
        about = artifact.about
        if artifact.format not in self.formats:
            return f"is not read by {self.said}"
        if _above(about.opset, self.opset_max):
            return f"opset {about.opset} > {self.opset_max} of {self.said}"
        if _above(about.ir_version, self.ir_max):
            return f"IR version {about.ir_version} > {self.ir_max} of {self.said}"
        if artifact.format == "tflite" and about.variant == "int8" and about.quantization != "static":
            return None if self.dynamic_int8 else f"with dynamic int8 answers wrongly under {self.said}"
        return None


def readers(info: Mapping[str, Any] | None) -> tuple[Reader, ...]:
    """Return what reads models on a device, in the order in which its `info` lists it.

    A device that names no runtime is believed its formats, and ONNX when it names none: so did the first agents.
    """
    info = info or {}
    runtimes = info.get("runtimes") or ()
    if not runtimes:
        return (Reader(name="", version="", formats=tuple(info.get("formats") or ("onnx",))),)
    return tuple(_reader(runtime) for runtime in runtimes)


def _above(value: int | None, limit: int | None) -> bool:
    return value is not None and limit is not None and value > limit


def _reader(runtime: Mapping[str, Any]) -> Reader:
    name, version = str(runtime.get("name") or ""), str(runtime.get("version") or "")
    opset_max, ir_max = _limits(version) if name == "onnxruntime" else (None, None)
    return Reader(
        name=name,
        version=version,
        formats=tuple(runtime.get("formats") or ()),
        opset_max=runtime.get("opset_max") or opset_max,
        ir_max=runtime.get("ir_max") or (ir_max if runtime.get("opset_max") is None else None),
        dynamic_int8=not (name == "tflite-runtime" and WRONG_DYNAMIC.match(version)),
    )


def _limits(version: str) -> tuple[int | None, int | None]:
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers is None:
        return None, None
    found = int(numbers[1]), int(numbers[2])
    if found >= BEYOND:
        return None, None
    known = [(opset, ir) for first, opset, ir in OPSETS if first <= found]
    return known[-1] if known else OPSETS[0][1:]
