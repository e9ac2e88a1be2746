"""Reads the texts that an ONNX file carries about itself, without a runtime: `metadata_props` of a ModelProto."""

from collections.abc import Iterator
from pathlib import Path

from broker.errors import ArtifactError

METADATA_PROPS, KEY, VALUE = 14, 1, 2
"""Field numbers in onnx.proto: ModelProto.metadata_props, StringStringEntryProto.key and .value."""

VARINT, FIXED_64, LENGTH, FIXED_32 = 0, 1, 2, 5
CONTINUES, BITS = 0x80, 7
MOST_SHIFT = 63


def read_texts(path: Path) -> dict[str, str]:
    """Return the texts in the ONNX file at `path`; raises ArtifactError (`load_failed`) for what is no such file."""
    try:
        entries = [_entry(body) for number, body in _fields(memoryview(path.read_bytes())) if number == METADATA_PROPS]
    except (IndexError, ValueError, UnicodeDecodeError) as error:
        raise ArtifactError(f"this is no ONNX model: {error}", code="load_failed") from error
    except OSError as error:
        raise ArtifactError(f"the model cannot be read: {error.strerror}", code="load_failed") from error
    return dict(entries)


def _entry(body: memoryview) -> tuple[str, str]:
    found = {number: bytes(value).decode() for number, value in _fields(body)}
    return found.get(KEY, ""), found.get(VALUE, "")


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield the number and the bytes of each field that has a length; numbers are skipped."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            _, at = _varint(data, at)
        elif kind in (FIXED_64, FIXED_32):
            at += 8 if kind == FIXED_64 else 4
        elif kind == LENGTH:
            size, at = _varint(data, at)
            if at + size > len(data):
                raise ValueError("it ends in the middle of a field")
            yield number, data[at : at + size]
            at += size
        else:
            raise ValueError(f"field {number} is of kind {kind}")


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & ~CONTINUES) << shift
        at += 1
        if not byte & CONTINUES:
            return value, at
        shift += BITS
        if shift > MOST_SHIFT:
            raise ValueError("a number has no end")
