"""Reads one telemetry sample several times as fast: into a twin of its type that has the same fields and checks.

A frozen dataclass costs msgspec 6 µs for 25 fields, a Struct 1 µs. What the twin refuses, and what it cannot hold (a
batch, a number that needs a second look), is for `TELEMETRY.decode` to read or to refuse in words.
"""

import types
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec

from broker.messages import Telemetry
from broker.wire import MAX_PAYLOAD_BYTES

_DIGITS = bytes(ord("0") if chr(code).isdigit() and code < 128 else ord("x") for code in range(256))  # noqa: PLR2004 - ASCII
_LONG_NUMBER = b"0" * 16
"""What a number beyond 2^53 looks like when every digit is a nought."""


def read(payload: bytes) -> Any | None:
    """Return what has the attributes of a `Telemetry`, or None where that type itself has to look.

    Unlike a message it can be changed; as JSON it says what is other than the defaults.
    """
    if len(payload) > MAX_PAYLOAD_BYTES or _LONG_NUMBER in payload.translate(_DIGITS):
        return None
    try:
        sample = _decoder().decode(payload)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError):
        return None
    if sample.batch or sample.ts is None or sample.session is None or sample.seq is None:
        return None
    return sample


@cache
def _decoder() -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(_twin(Telemetry))


@cache
def _twin(kind: Any) -> Any:
    hints = get_type_hints(kind)
    made: list[Any] = []
    for each in fields(kind):
        name, hint = each.name, list[Any] if each.name == "batch" else _twinned(hints[each.name])
        if each.default is MISSING and each.default_factory is MISSING:
            made.append((name, hint))
        else:
            made.append((name, hint, [] if name == "batch" else each.default))
    return msgspec.defstruct(f"Quick{kind.__name__}", made, kw_only=True, gc=False, omit_defaults=True)


def _twinned(hint: Any) -> Any:
    """Return `hint` with twins in the place of message types that check nothing but their fields."""
    if isinstance(hint, type) and is_dataclass(hint) and not hasattr(hint, "__post_init__"):
        return _twin(hint)
    if get_origin(hint) in (Union, types.UnionType):
        return Union[tuple(_twinned(each) for each in get_args(hint))]  # noqa: UP007 - made at run time
    return hint
