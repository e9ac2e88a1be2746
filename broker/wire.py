"""Payloads to messages and back: UTF-8 JSON of at most 64 KiB, checked while it is read.

msgspec does the work where it is installed; boards without it (armv7l) use the standard library, which reads the same
documents and refuses the same mistakes.
"""

import json
import math
import re
import types
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from broker.commands import BARE_OPS, OPS, Command
from broker.errors import WireError

try:
    import msgspec

    HAS_MSGSPEC = True
except ImportError:
    HAS_MSGSPEC = False

MAX_PAYLOAD_BYTES = 65_536
MAX_EXACT_INT = 2**53
_LONG_NUMBER = re.compile(rb"[0-9]{16}")
"""Without this no integer of a payload is beyond 2^53."""

MOST_ID_CHARACTERS = 128
MOST_TEXT_CHARACTERS = 1_000
"""Names and reasons come back in a device's state, of which sixteen commands have to fit one payload."""

HINT = "send JSON as the contract describes it"

M = TypeVar("M")


def encode(message: object) -> bytes:
    """Return `message` as JSON; what is absent is left out.

    Raises WireError (`oversize`) above 64 KiB.
    """
    payload = json.dumps(_plain(message), separators=(",", ":"), allow_nan=False).encode()
    return _bounded(payload)


def document(message: object) -> Any:
    """Return `message` as plain dicts and lists, absent values left out."""
    return _plain(message)


def decode(kind: type[M], payload: bytes) -> M:
    """Return `payload` as a `kind`.

    Raises WireError: `oversize` above 64 KiB, `malformed` with the path of the field for anything else.
    """
    _bounded(payload)
    if not HAS_MSGSPEC:
        return decode_without_msgspec(kind, payload)
    try:
        message = _decoder(cast(Any, kind)).decode(payload)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(
            f"not a valid {kind.__name__}: {error}", hint="send JSON as the contract describes it"
        ) from None
    if _LONG_NUMBER.search(payload):  # msgspec refuses NaN and infinities itself
        _refuse_extremes(message)
    return message  # type: ignore[no-any-return]


def decode_without_msgspec(kind: type[M], payload: bytes) -> M:
    """Do what `decode` does with the standard library alone."""
    _bounded(payload)
    try:
        raw = json.loads(payload)
        message = _build(kind, raw, "$")
        _refuse_extremes(message)
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        raise WireError(
            f"not a valid {kind.__name__}: {error}", hint="send JSON as the contract describes it"
        ) from None
    return message  # type: ignore[no-any-return]


def decode_command(payload: bytes) -> Command:
    """Return a command; a bare word (`ping`) is one for the ops that need nothing else.

    Raises WireError: `malformed`, `oversize` (also one name), `bad_id`, or `unsupported` for an op no agent knows.
    """
    _bounded(payload)
    word = payload.strip()
    if word.isalpha() and word.decode("ascii", "replace") in BARE_OPS:
        return Command(op=word.decode("ascii"))
    if word.isalpha() and word not in {b"true", b"false", b"null"}:
        text = word.decode("ascii", "replace")[:40]
        if text in OPS:
            hint = f'send JSON: {{"op":"{text}", …}}; `help` says what it takes'
            raise WireError(f"{text} needs more than its name", code="unsupported", hint=hint)
        raise _unsupported(text)
    command = decode(Command, payload)
    if command.op not in OPS:
        raise _unsupported(command.op[:40])
    _refuse_long(command)
    return command


def _refuse_long(command: Command) -> None:
    """Refuse names that nobody could keep."""
    if command.id is not None and not 0 < len(command.id) <= MOST_ID_CHARACTERS:
        raise WireError(f"an id has 1 to {MOST_ID_CHARACTERS} characters", code="bad_id", hint=HINT)
    form = command.artifact.format if command.artifact else None
    words = (command.model, command.runtime, command.target, command.code, command.reason, form)
    if any(word is not None and len(word) > MOST_TEXT_CHARACTERS for word in words):
        said = f"a name or reason has at most {MOST_TEXT_CHARACTERS} characters"
        raise WireError(said, code="oversize", hint=HINT)


def _unsupported(op: str) -> WireError:
    return WireError(f"unknown op '{op}'", code="unsupported", hint=f"known: {' '.join(OPS)}")


def _bounded(payload: bytes) -> bytes:
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise WireError(
            f"{len(payload)} bytes, more than the {MAX_PAYLOAD_BYTES} a payload may have",
            code="oversize",
            hint="artifacts travel over HTTP; send their URL",
        )
    return payload


@cache
def _decoder(kind: Any) -> Any:
    return msgspec.json.Decoder(kind)


def _plain(value: object) -> Any:
    kind = type(value)
    if value is None or kind in _AS_THEY_ARE:
        return value
    names = _names(cast(Any, kind))
    if names is not None:
        named = ((name, getattr(value, name)) for name in names)
        return {name: _plain(v) for name, v in named if v is not None and v not in ((), {})}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {str(key): _plain(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value


_AS_THEY_ARE = frozenset({str, int, float, bool})


@cache
def _names(kind: Any) -> tuple[str, ...] | None:
    """Return the fields of a dataclass, None for any other type; asked for every value of every message."""
    return tuple(f.name for f in fields(kind)) if is_dataclass(kind) else None


def _refuse_extremes(message: object) -> None:
    """Refuse numbers that JSON does not carry exactly: NaN, infinities, integers beyond 2^53."""
    if isinstance(message, float) and not math.isfinite(message):
        raise WireError("not a finite number", hint=HINT)
    if isinstance(message, int) and abs(message) > MAX_EXACT_INT:
        raise WireError(f"an integer beyond ±{MAX_EXACT_INT}", hint=HINT)
    if is_dataclass(message) and not isinstance(message, type):
        for f in fields(message):
            _refuse_extremes(getattr(message, f.name))
    elif isinstance(message, dict):
        for v in message.values():
            _refuse_extremes(v)
    elif isinstance(message, (list, tuple)):
        for v in message:
            _refuse_extremes(v)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _build(kind: Any, raw: Any, path: str) -> Any:
    """Build `kind` from decoded JSON; raises TypeError or ValueError naming `path`."""
    if kind is Any:
        return raw
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return None if raw is None and type(None) in args else _build(_sole(args), raw, path)
    if origin is Literal:
        if raw not in args or isinstance(raw, bool):
            raise ValueError(f"invalid value {raw!r} - at `{path}`")
        return raw
    if origin is tuple:
        _expect(raw, list, path)
        return tuple(_build(args[0], item, f"{path}[{i}]") for i, item in enumerate(raw))
    if origin is dict:
        _expect(raw, dict, path)
        return {key: _build(args[1], item, f"{path}.{key}") for key, item in raw.items()}
    if is_dataclass(kind):
        return _build_record(kind, raw, path)
    if isinstance(kind, type) and issubclass(kind, Enum):
        _expect(raw, str, path)
        return kind(raw)
    return _scalar(kind, raw, path)


def _build_record(kind: Any, raw: Any, path: str) -> Any:
    _expect(raw, dict, path)
    hints = _hints(kind)
    given = {f.name: _build(hints[f.name], raw[f.name], f"{path}.{f.name}") for f in fields(kind) if f.name in raw}
    for f in fields(kind):
        if f.name not in given and f.default is MISSING and f.default_factory is MISSING:
            raise ValueError(f"missing required field `{f.name}` - at `{path}`")
    return kind(**given)


def _scalar(kind: Any, raw: Any, path: str) -> Any:
    if kind is float and isinstance(raw, int) and not isinstance(raw, bool):
        return float(raw)
    if kind in (int, float) and isinstance(raw, bool):
        raise TypeError(f"expected `{kind.__name__}`, got `bool` - at `{path}`")
    _expect(raw, kind, path)
    return raw


def _expect(raw: Any, kind: type[Any], path: str) -> None:
    if not isinstance(raw, kind):
        raise TypeError(f"expected `{kind.__name__}`, got `{type(raw).__name__}` - at `{path}`")


def _sole(args: tuple[Any, ...]) -> Any:
    """Return the one type of an optional field; our messages have no other unions."""
    (kind,) = (a for a in args if a is not type(None))
    return kind
