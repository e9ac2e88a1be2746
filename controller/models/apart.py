"""Has a model file read by another process, so that a hostile one can neither stall this one nor take its memory."""

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec

from broker.errors import ArtifactError
from controller.models.facts import ModelFacts

ROOT = Path(__file__).resolve().parents[2]
CHUNK_BYTES = 65_536
MAX_ANSWER_BYTES = 40_000_000
"""The texts that a file carries are under 16 MB, and JSON may write a character of them in six."""

TIMEOUT_S = 60.0
BASE_MEMORY_MB = 1_000
COPIES = 6
"""Of the file: its bytes, what protobuf makes of them in two places, and room to work."""

HINT = "check it with python -m onnx.checker, or export it again"


class Said(msgspec.Struct):
    """Why a file cannot be read."""

    code: str
    message: str
    hint: str = ""


class Answer(msgspec.Struct):
    """What the other process says: one of the two."""

    facts: ModelFacts | None = None
    error: Said | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What reading one file may take."""

    timeout_s: float = TIMEOUT_S
    base_memory_mb: int = BASE_MEMORY_MB

    def memory_mb(self, path: Path) -> int:
        """Return how much memory the file at `path` may take, 10^6 bytes."""
        return self.base_memory_mb + COPIES * path.stat().st_size // 1_000_000


async def analyze_apart(path: Path, bounds: Bounds | None = None) -> ModelFacts:
    """Return what `analyze` returns for the file at `path`; raises ArtifactError as it does.

    Also for a file whose reading takes too long, too much memory, or ends the process.
    """
    bounds = bounds or Bounds()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "controller.workshop.confined", str(os.getpid()), str(bounds.memory_mb(path))),
        *("-m", "controller.models.reading", str(path)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": _python_path(), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    try:
        async with asyncio.timeout(bounds.timeout_s):
            answer = await _read(process, path.name)
            await process.wait()
    except TimeoutError:
        raise ArtifactError(
            f"{path.name} was not read after {bounds.timeout_s:g} s", code="too_slow", hint=HINT
        ) from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return _facts(answer, path.name)


async def _read(process: asyncio.subprocess.Process, name: str) -> bytes:
    assert process.stdout is not None
    answer = bytearray()
    while chunk := await process.stdout.read(CHUNK_BYTES):
        answer += chunk
        if len(answer) > MAX_ANSWER_BYTES:
            raise ArtifactError(f"{name} says over {MAX_ANSWER_BYTES / 1e6:.0f} MB about itself", hint=HINT)
    return bytes(answer)


def _facts(answer: bytes, name: str) -> ModelFacts:
    try:
        said = msgspec.json.decode(answer, type=Answer)
    except msgspec.DecodeError:
        said = Answer()
    if said.error is not None:
        raise ArtifactError(said.error.message, code=said.error.code, hint=said.error.hint)
    if said.facts is None:
        raise ArtifactError(
            f"{name} ended the process that read it: it is damaged, or takes far more memory than its size",
            hint=HINT,
        )
    return said.facts


def _python_path() -> str:
    return os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
