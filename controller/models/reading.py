"""Reads one model file in a process of its own: `python -m controller.models.reading FILE`.

Standard output is one JSON document: `{"facts": …}`, or `{"error": {"code", "message", "hint"}}` with exit status 1.
"""

import sys
from pathlib import Path

import msgspec

from broker.errors import ArtifactError
from controller.models.analyze import analyze


def main() -> int:
    """Read the file named on the command line; return the exit status."""
    try:
        answer = {"facts": analyze(Path(sys.argv[1]))}
    except ArtifactError as error:
        said = {"code": error.code, "message": error.message, "hint": error.hint}
        sys.stdout.buffer.write(msgspec.json.encode({"error": said}))
        return 1
    sys.stdout.buffer.write(msgspec.json.encode(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
