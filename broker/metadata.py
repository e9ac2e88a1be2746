"""What a model file carries about itself, the same `edgewatt.*` texts in either format.

An ONNX file has them in its `metadata_props`. A TFLite file has them as JSON in a member of a zip that follows the
flatbuffer, which is how the format carries its associated files (tensorflow.org/lite/models/convert/metadata).
"""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

from broker.errors import ArtifactError

MEMBER = "edgewatt.json"
MAX_BYTES = 16_000_000
"""Labels and golden samples of an ImageNet model take under half a megabyte."""

BOUNDED = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""The others unpack a whole block at once, however much it becomes."""

DEFLATE = "append it with deflate or stored"


def read_appended(path: Path) -> dict[str, str]:
    """Return the texts that follow the TFLite model at `path`, none where nothing follows it.

    Raises ArtifactError for what cannot be read or would unpack to over `MAX_BYTES`.
    """
    if not zipfile.is_zipfile(path):
        return {}
    try:
        with zipfile.ZipFile(path) as archive:
            if MEMBER not in archive.namelist():
                return {}
            member = archive.getinfo(MEMBER)
            if member.file_size > MAX_BYTES:
                raise ArtifactError(f"{path.name}: its metadata is over {MAX_BYTES / 1e6:.0f} MB")
            if member.compress_type not in BOUNDED:
                raise ArtifactError(f"{path.name}: its metadata is packed in a way that is not read", hint=DEFLATE)
            with archive.open(member) as texts:
                found = json.loads(texts.read(MAX_BYTES))
    except (OSError, ValueError, RuntimeError, NotImplementedError, zipfile.BadZipFile) as error:
        raise ArtifactError(f"{path.name}: its metadata cannot be read: {error}") from None
    if not isinstance(found, dict):
        raise ArtifactError(f"{path.name}: its metadata is no JSON object")
    return {str(key): value if isinstance(value, str) else json.dumps(value) for key, value in found.items()}


def append(path: Path, texts: Mapping[str, str]) -> None:
    """Put `texts` behind the TFLite model at `path`, which has none yet; the same texts give the same bytes."""
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        member = zipfile.ZipInfo(MEMBER, date_time=(1980, 1, 1, 0, 0, 0))
        member.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(member, json.dumps(dict(texts), separators=(",", ":")))
