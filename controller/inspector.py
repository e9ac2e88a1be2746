"""The newest messages of the fleet, and the last that were refused, as people may read them.

As many are kept however large the fleet is: of two thousand devices the last ten samples of each, of a larger fleet
those of the last seconds. What devices say seldom does not give way to telemetry.
"""

import re
from collections import defaultdict, deque
from itertools import chain
from typing import Any

from broker.link import Packet
from broker.topics import PREFIX, TELEMETRY

KEPT_MESSAGES = 10
"""Of each device and topic, so many are shown."""

KEPT_OF_ALL = 20_000
"""Samples of the whole fleet, and as many of everything else."""

KEPT_BYTES = 2_000
KEPT_REFUSED = 50

SIGNATURE = re.compile(r"signature=[A-Za-z0-9_-]+")
"""What lets a device fetch its file; whoever reads messages has a token of their own, which can be revoked."""

Kept = tuple[float, str, str, bytes, bool, str | None]
"""When it came, from which device, the end of its topic, its payload, whether it was retained, why it was refused."""


class Inspector:
    """Keeps what came; it becomes words only when somebody reads it."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.refused: deque[dict[str, Any]] = deque(maxlen=KEPT_REFUSED)
        self._samples: deque[Kept] = deque(maxlen=KEPT_OF_ALL)
        self._others: deque[Kept] = deque(maxlen=KEPT_OF_ALL)

    def keep(self, device_id: str, suffix: str, packet: Packet, at: float, error: str | None = None) -> None:
        """Keep a message of a device, with why it was refused if it was."""
        kept = at, device_id, suffix, packet.payload[:KEPT_BYTES], packet.retain, error
        (self._samples if suffix == TELEMETRY.suffix else self._others).append(kept)

    def refuse(self, packet: Packet, at: float, error: str, code: str, device_id: str | None) -> None:
        """Keep a message that was refused; `device_id` is None where no known device sent it."""
        said = _words(at, packet.topic[:200], packet.payload[:KEPT_BYTES], packet.retain, error)
        self.refused.append(said | {"code": code, "device_id": device_id})

    def of(self, device_id: str) -> dict[str, list[dict[str, Any]]]:
        """Return the last messages of a device by the ends of their topics, oldest first."""
        heard: dict[str, deque[Kept]] = defaultdict(lambda: deque(maxlen=KEPT_MESSAGES))
        for kept in chain(self._others, self._samples):
            if kept[1] == device_id:
                heard[kept[2]].append(kept)
        return {suffix: [_words_of(each) for each in entries] for suffix, entries in heard.items()}


def _words_of(kept: Kept) -> dict[str, Any]:
    at, device_id, suffix, payload, retained, error = kept
    return _words(at, f"{PREFIX}{device_id}/{suffix}", payload, retained, error)


def _words(at: float, topic: str, payload: bytes, retained: bool, error: str | None) -> dict[str, Any]:
    text = SIGNATURE.sub("signature=…", payload.decode("utf-8", "replace"))
    return {"at": at, "topic": topic, "payload": text, "retained": retained, "error": error}
