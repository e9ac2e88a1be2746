"""Takes frames of a camera through OpenCV, which is imported on first use."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from typing import Any, Protocol

from broker.errors import EdgeWattError, RuntimeUnavailableError
from edge_agent.inputs.pictures import prepared
from edge_agent.inputs.results import Results
from edge_agent.inputs.source import Consumer, Item, Outcome
from edge_agent.runtimes.facts import ModelFacts

log = logging.getLogger(__name__)

INSTALL = "pip install 'edgewatt[camera]' on the device"
AGAIN_S = 5.0
"""How long a camera that gives no frame is left alone."""

STALE_S = 0.5
STALE_FRAMES = 4
"""Frames that drivers keep: what lies there for longer than `STALE_S` is not what the camera sees now."""


class Capture(Protocol):
    """A camera that was opened, as OpenCV's VideoCapture."""

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        """Whether it can be read."""
        ...

    def grab(self) -> bool:
        """Take a frame without unpacking it."""
        ...

    def read(self) -> tuple[bool, Any]:
        """Return whether there was a frame, and the frame: rows of blue, green, red."""
        ...

    def release(self) -> None:
        """Let others have it."""
        ...


def opencv(number: int) -> Capture:
    """Return the camera of that number, opened or not."""
    found: Capture = import_module("cv2").VideoCapture(number)
    return found


def check_installed() -> None:
    """Raise RuntimeUnavailableError (`extra_missing`) when there is nothing to read a camera with."""
    for name, module in {"OpenCV": "cv2", "Pillow": "PIL"}.items():
        try:
            import_module(module)
        except ImportError as error:
            said = f"a camera needs {name}: {str(error)[:120]}"
            raise RuntimeUnavailableError(said, code="extra_missing", hint=INSTALL) from error


@dataclass(slots=True, kw_only=True)
class Camera:
    """The frames of a camera, each taken when there is time for it; one that is unplugged is tried again."""

    number: int
    results: Results
    capture: Callable[[int], Capture] = opencv
    now: Callable[[], float] = time.monotonic
    name: str = "camera"
    poll_s: float | None = AGAIN_S
    fault: str | None = None
    _opened: Capture | None = None
    _read_at: float = field(default=float("-inf"))
    _again_at: float = field(default=float("-inf"))

    def open(self, consumer: Consumer) -> None:
        """Nothing has to begin: the camera is opened with the first frame."""

    def next(self) -> Item | None:
        """Return what the camera sees now; None while it cannot be read."""
        if self.now() < self._again_at:
            return None
        frame = self._frame()
        if frame is None:
            self.fault = f"camera {self.number} gives no picture"
            self._again_at = self.now() + AGAIN_S
            self.close()
            return None
        self.fault = None
        return self._item(f"camera:{self.number} {datetime.now(UTC).isoformat(timespec='milliseconds')}", frame)

    def close(self) -> None:
        """Let others have the camera."""
        if self._opened is not None:
            self._opened.release()
            self._opened = None

    def _frame(self) -> Any:
        try:
            return self._read()
        except Exception as error:  # noqa: BLE001 - OpenCV's errors have a class that only OpenCV has
            log.warning("camera %d: %s", self.number, str(error)[:200])
            return None

    def _read(self) -> Any:
        if self._opened is None:
            self._opened = self.capture(self.number)
        if not self._opened.isOpened():
            return None
        if self.now() - self._read_at > STALE_S:
            for _ in range(STALE_FRAMES):
                self._opened.grab()
        there, frame = self._opened.read()
        self._read_at = self.now()
        return frame if there else None

    def _item(self, name: str, frame: Any) -> Item:
        def values(facts: ModelFacts) -> Any:
            from PIL import Image  # noqa: PLC0415 - only where pictures come in

            return prepared(Image.fromarray(frame[:, :, ::-1].copy()), facts)

        def answered(outcome: Outcome) -> None:
            self.results.answered(name, outcome)

        def refused(error: EdgeWattError) -> None:
            self.results.refused(name, error)

        return Item(name=name, values=values, answered=answered, refused=refused)
