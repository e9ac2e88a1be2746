"""Makes several small models of one, so that deployments have something to exchange."""

from controller.models.shipped import MODELS

BASE = "digits_mlp"
METADATA_PROPS, KEY, VALUE = 14, 1, 2
"""Field numbers in onnx.proto: ModelProto.metadata_props, StringStringEntryProto.key and .value."""

LENGTH = 2


def variants(count: int) -> dict[str, bytes]:
    """Return `count` models by name: the same network under other names, each with bytes of its own."""
    content = (MODELS / f"{BASE}.onnx").read_bytes()
    return {name: content + _text("edgewatt.variant", name) for name in (f"{BASE}_{n}" for n in range(1, count + 1))}


def _text(key: str, value: str) -> bytes:
    """Return one more entry of a ModelProto's texts."""
    entry = _field(KEY, key.encode()) + _field(VALUE, value.encode())
    return _field(METADATA_PROPS, entry)


def _field(number: int, content: bytes) -> bytes:
    assert len(content) < 0x80  # noqa: PLR2004 - one byte of length is enough for a name
    return bytes([number << 3 | LENGTH, len(content)]) + content
