"""Makes one model file in a process of its own: `python -m controller.workshop.worker REQUEST_FILE`.

Standard output is JSON lines: `{"progress": 0…1, "step": words}`, and as the last one
`{"result": {"path", "about"}}` or `{"error": {"code", "message", "hint"}}`. Standard error is the log.
Exit status 0 with a result, 1 with an error.
"""

import errno
import sys
import traceback
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from broker.errors import ArtifactError, EdgeWattError
from controller.workshop.progress import Line
from controller.workshop.request import Request, read_request

NEEDED = (
    *("torch", "torchvision", "timm", "safetensors", "sklearn", "PIL"),
    *("onnx2torch", "onnxscript", "litert_torch", "ai_edge_litert", "ai_edge_quantizer"),
)
"""What the extra `models` brings, as it is imported."""

INSTALL = "pip install 'edgewatt[models]'"


def main() -> int:
    """Make what the request file on the command line says; return the exit status."""
    line = Line()
    try:
        path, about = _make(read_request(Path(sys.argv[1])), line)
    except EdgeWattError as error:
        traceback.print_exc()
        line.error(error.code, error.message, error.hint, _plain(error.facts))
    except OSError as error:
        traceback.print_exc()
        full = error.errno == errno.ENOSPC
        code, hint = ("disk_full", "free some space") if full else ("worker_failed", "the log has more")
        line.error(code, "the disk is full" if full else str(error), hint, {})
    except Exception as error:  # noqa: BLE001  # the edge of this process: whatever it is, the controller hears of it
        traceback.print_exc()
        line.error("worker_failed", f"{type(error).__name__}: {error}", "the log has more", {})
    else:
        line.result(path, about)
        return 0
    return 1


def _make(request: Request, line: Line) -> tuple[str, dict[str, Any]]:
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise ArtifactError(f"the workshop needs {', '.join(missing)}", code="extra_missing", hint=INSTALL)
    from controller.workshop.making import make  # noqa: PLC0415  # torch takes seconds and may be missing

    made = make(request, line.progress)
    return str(made.path), asdict(made.about)


def _plain(facts: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in facts.items() if isinstance(value, str | int | float)}


if __name__ == "__main__":
    sys.exit(main())
