"""Signs what an artifact is, and checks such signatures: Ed25519 over one canonical manifest on both sides."""

import base64
import binascii
import json
from importlib import import_module
from pathlib import Path
from typing import Any

from broker.errors import InvalidError

PREFIX = "ed25519:"
KEY_BYTES = 32
INSTALL = "pip install 'edgewatt[signed]'"


def canonical_manifest(*, model: str | None, sha256: str, size: int, format: str, gen: int | None = None) -> bytes:  # noqa: A002  # the contract's word
    """Return the bytes that are signed: UTF-8 JSON, keys sorted, no spaces, no `gen` where there is none."""
    facts = {"model": model, "sha256": sha256, "size": size, "format": format}
    if gen is not None:
        facts["gen"] = gen
    return json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


class Signer:
    """Holds a private key; needs the extra `signed`."""

    def __init__(self, path: Path) -> None:
        """Read the key at `path`: PEM, 32 raw bytes, or their base64. Raises InvalidError (`bad_key`)."""
        content = _content(path)
        if content.lstrip().startswith(b"-----BEGIN"):
            serialization = _part("hazmat.primitives.serialization")
            try:
                key = serialization.load_pem_private_key(content, password=None)
            except (ValueError, TypeError) as error:
                raise _bad_key(path, str(error)) from None
            if not isinstance(key, _part("hazmat.primitives.asymmetric.ed25519").Ed25519PrivateKey):
                raise _bad_key(path, "it is of another kind than Ed25519")
            self._key = key
        else:
            kind = _part("hazmat.primitives.asymmetric.ed25519").Ed25519PrivateKey
            self._key = kind.from_private_bytes(_raw(path, content))

    def sign(self, manifest: bytes) -> str:
        """Return the signature of `manifest` as `ed25519:` and base64."""
        return PREFIX + base64.b64encode(self._key.sign(manifest)).decode()

    @property
    def public_key(self) -> str:
        """The key that checks what this one signs, as base64: an agent's `verify_key`."""
        return base64.b64encode(self._key.public_key().public_bytes_raw()).decode()


class Verifier:
    """Holds a public key; needs the extra `signed`."""

    def __init__(self, key: str) -> None:
        """Take `key`, base64 of 32 bytes or a file of them or of PEM. Raises InvalidError (`bad_key`)."""
        ed25519 = _part("hazmat.primitives.asymmetric.ed25519")
        path = Path(key)
        content = _content(path) if path.is_file() else key.encode()
        if content.lstrip().startswith(b"-----BEGIN"):
            serialization = _part("hazmat.primitives.serialization")
            try:
                self._key = serialization.load_pem_public_key(content)
            except ValueError as error:
                raise _bad_key(path, str(error)) from None
            if not isinstance(self._key, ed25519.Ed25519PublicKey):
                raise _bad_key(path, "it is of another kind than Ed25519")
        else:
            self._key = ed25519.Ed25519PublicKey.from_public_bytes(_raw(path, content))

    def accepts(self, signature: str | None, manifest: bytes) -> bool:
        """Return whether `signature` is that of `manifest` by this key."""
        if signature is None or not signature.startswith(PREFIX):
            return False
        try:
            self._key.verify(base64.b64decode(signature.removeprefix(PREFIX), validate=True), manifest)
        except (_part("exceptions").InvalidSignature, binascii.Error):
            return False
        return True


def make_key(path: Path) -> Signer:
    """Write a new private key to `path`, readable by its owner only; InvalidError where a file is already."""
    serialization = _part("hazmat.primitives.serialization")
    key = _part("hazmat.primitives.asymmetric.ed25519").Ed25519PrivateKey.generate()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    try:
        path.touch(mode=0o600, exist_ok=False)
        path.write_bytes(pem)
    except FileExistsError:
        raise InvalidError(f"{path} exists already", code="bad_key", hint="name another file") from None
    except OSError as error:
        raise InvalidError(f"cannot write {path}: {error.strerror}", code="bad_key", hint="name another file") from None
    return Signer(path)


def _part(name: str) -> Any:
    try:
        return import_module(f"cryptography.{name}")
    except ImportError:
        raise InvalidError("signatures need the package cryptography", code="extra_missing", hint=INSTALL) from None


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _bad_key(path, error.strerror or str(error)) from None


def _raw(path: Path, content: bytes) -> bytes:
    """Return the 32 bytes of a key that is kept raw or as base64."""
    if len(content) == KEY_BYTES:
        return content
    try:
        raw = base64.b64decode(content.strip(), validate=True)
    except binascii.Error:
        raw = b""
    if len(raw) != KEY_BYTES:
        raise _bad_key(path, "it is neither PEM nor 32 bytes, raw or as base64")
    return raw


def _bad_key(path: Path, why: str) -> InvalidError:
    return InvalidError(
        f"cannot use the key {str(path)[:80]}: {why}", code="bad_key", hint="`edgewatt models keygen FILE` makes one"
    )
