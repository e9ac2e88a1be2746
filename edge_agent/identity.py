"""Who this agent is, in this life."""

import contextlib
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from broker.errors import StorageError
from edge_agent.files import write_whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What the agent says of itself; `session` is of one process, and never used again."""

    device_id: str
    session: str
    boot: int
    device_type: str
    board: str | None = None
    ip: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    simulated: bool = False
    version: str = ""
    battery_wh: float | None = None
    solar_wh_per_day: float | None = None
    balena_uuid: str | None = None


def next_boot(folder: Path) -> int:
    """Return how often an agent began in `folder`, this time included; on a full disk that is not kept."""
    path = folder / "boot"
    try:
        before = int(path.read_text())
    except (FileNotFoundError, ValueError):
        before = 0
    with contextlib.suppress(StorageError):  # a model that is here runs without more room
        write_whole(path, str(before + 1).encode())
    return before + 1


def new_session(boot: int) -> str:
    """Return a session that no other life has, even after the data folder was lost."""
    return f"b{boot}-{secrets.token_hex(3)}"
