"""Tells the format of a model file by its content; what is something else is refused by its name."""

import stat
from pathlib import Path

from broker.errors import ArtifactError
from controller.models.manifest import Format

MAX_BYTES = 1_000_000_000
"""Larger files are no vision models for small boards; protobuf itself ends at 2 GiB."""

HEAD_BYTES = 4_096
TFLITE = b"TFL3"
"""At offset 4 of every TFLite file."""

EXPORT = "export the network with torch.onnx.export(…, dynamo=False) or litert_torch.convert, and add that file"
PICKLE = (
    "a pickle can run code when it is opened; save the weights with safetensors.torch.save_file(model.state_dict(), "
    "'weights.safetensors') and add those with --architecture NAME"
)
UNPACK = "unpack it and add the .onnx or .tflite file inside"
DOWNLOAD = "the address led to a page, not to a file; download it again"

SIGNS: tuple[tuple[bytes, str, str], ...] = (
    (b"\x1f\x8b", "a gzip archive", UNPACK),
    (b"BZh", "a bzip2 archive", UNPACK),
    (b"\xfd7zXZ\x00", "an xz archive", UNPACK),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    (b"Rar!", "a rar archive", UNPACK),
    (b"\x89HDF", "an HDF5 file (Keras)", EXPORT),
    (b"GGUF", "a GGUF file", EXPORT),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself", "git lfs pull, then add it again"),
    (b"\x80\x02", "a pickle (PyTorch's .pth or .pt)", PICKLE),
    (b"\x80\x03", "a pickle", PICKLE),
    (b"\x80\x04", "a pickle", PICKLE),
    (b"\x80\x05", "a pickle", PICKLE),
    (b"\x89PNG", "a PNG picture", EXPORT),
    (b"\xff\xd8\xff", "a JPEG picture", EXPORT),
    (b"%PDF", "a PDF document", EXPORT),
    (b"\x7fELF", "a program", EXPORT),
    (b"#!", "a script", EXPORT),
)
"""First bytes, what they mean and what to do instead."""

ZIP = b"PK\x03\x04"
PAGES = (b"<!doctype", b"<html", b"<?xml", b"<head")
WEIGHTS_HINT = "weights say no graph; name the network they belong to: edgewatt models add FILE --architecture NAME"


def size_of(path: Path) -> int:
    """Return the size of the file at `path` in bytes.

    Raises ArtifactError for one that is missing, empty, too large or no regular file: a pipe would be waited for.
    """
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise ArtifactError(f"cannot read {str(path)[:200]}: {said}", hint="check the path") from None
    if stat.S_ISDIR(found.st_mode):
        raise ArtifactError(f"{path.name} is a directory", hint="name the .onnx or .tflite file in it")
    if not stat.S_ISREG(found.st_mode):
        raise ArtifactError(f"{path.name} is a pipe or a device, not a file", hint="write it to a file first")
    if not found.st_size:
        raise ArtifactError(f"{path.name} is empty", hint="the download or the export did not finish; do it again")
    if found.st_size > MAX_BYTES:
        raise ArtifactError(f"{path.name} has {found.st_size / 1e6:,.0f} MB; the limit is {MAX_BYTES / 1e6:,.0f} MB")
    return found.st_size


def is_safetensors(head: bytes) -> bool:
    """Return whether a file that begins with `head` holds safetensors: a length of eight bytes, then JSON."""
    return head[8:9] == b"{" and 0 < int.from_bytes(head[:8], "little") <= MAX_BYTES


def recognise(path: Path) -> Format:
    """Return the format that the content of the file at `path` claims; what is not known otherwise may be ONNX.

    Raises ArtifactError as `size_of` does, and for a file that is recognised as something else.
    """
    size_of(path)
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        raise ArtifactError(f"cannot read {path}: {error.strerror}", hint="check its permissions") from None
    if head[4:8] == TFLITE:
        return "tflite"
    what, hint = _otherwise(head)
    if what:
        raise ArtifactError(f"{path.name} is {what}, not an ONNX or TFLite file", code="foreign_file", hint=hint)
    return "onnx"


def _otherwise(head: bytes) -> tuple[str, str]:
    """Return what a file that begins with `head` is when it is no model that can be read, and what to do."""
    for sign, what, hint in SIGNS:
        if head.startswith(sign):
            return what, hint
    if head.startswith(ZIP):
        is_torch = b"data.pkl" in head or b"/version" in head
        return ("a pickle in a zip (PyTorch's .pth or .pt)", PICKLE) if is_torch else ("a zip archive", UNPACK)
    if is_safetensors(head):
        return "safetensors, weights without a graph", WEIGHTS_HINT
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:64].lower()
    if text.startswith(PAGES):
        return "a web page", DOWNLOAD
    if text.startswith((b"{", b"[{", b"error", b"not found")):
        return "text", DOWNLOAD
    return "", ""
