"""What a backup consists of: which files of a data folder it takes, and its table of contents."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from broker.errors import ArtifactError
from controller.inuse import LOCK
from controller.storage.sqlite import ACTIVE_LOCK

FORMAT = "edgewatt-backup"
VERSION = 1
"""Of the form of a backup; a reader refuses a higher one."""

MANIFEST = "edgewatt-backup.json"
"""The last member of the file, so that a file that was cut off has none."""

DATABASE = "controller.db"
SECURITY = "security"
INSIDE = "data/"
"""Before the name of every file of the data folder."""

COUNTED = ("devices", "deployments", "events", "rollouts", "telemetry")

LEFT_OUT = frozenset({SECURITY, "broker", "agents", "workshop", "logs", "lock", LOCK, ACTIVE_LOCK})
"""What goes another way, is not the controller's, or is made anew: half-made models, logs of processes, locks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file of a backup; `name` is relative to the data folder."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The table of contents of a backup.

    `steps` are the steps of the database's schema, `counts` the rows of its tables when it was copied. `database` is
    "elsewhere" where the data are in PostgreSQL, which has tools of its own.
    """

    format: str
    version: int
    edgewatt: str
    made_at: float
    database: Literal["sqlite", "elsewhere"]
    secrets: bool
    steps: tuple[str, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    files: tuple[Entry, ...] = ()

    @property
    def models(self) -> int:
        """How many model files are in it."""
        return sum(entry.name.startswith("artifacts/sha256/") for entry in self.files)


def read(text: bytes) -> Manifest:
    """Return the table of contents that `text` is. Raises ArtifactError for anything else, or one of a newer form."""
    try:
        found = msgspec.json.decode(text, type=Manifest)
    except msgspec.MsgspecError:
        raise foreign("its table of contents cannot be read") from None
    if found.format != FORMAT:
        raise foreign(f"it calls itself '{found.format[:40]}'")
    if found.version > VERSION:
        raise ArtifactError(
            f"this backup was made by EdgeWatt {found.edgewatt} in a form that this EdgeWatt does not know",
            hint=f"restore it with EdgeWatt {found.edgewatt} or newer",
        )
    return found


def foreign(why: str) -> ArtifactError:
    """Return the error that a file which is no backup leads to."""
    return ArtifactError(f"this is no backup of EdgeWatt: {why}", hint="`edgewatt backup --out FILE.tar` makes one")


def kept_files(data: Path, secrets: Path | None) -> Iterator[tuple[str, Path]]:
    """Give the files that belong into a backup, without the database: their names in it, and where they lie.

    `secrets` is the folder of keys and passwords, wherever it is, None to leave it out.
    """
    for path in sorted(data.rglob("*")):
        name = path.relative_to(data)
        if _belongs(name) and path.is_file() and not path.is_symlink():
            yield name.as_posix(), path
    if secrets is None:
        return
    for path in sorted(secrets.rglob("*")):
        if path.is_file():
            yield f"{SECURITY}/{path.relative_to(secrets).as_posix()}", path


def stamp(at: float) -> str:
    """Return `at` (Unix s) as a part of a name, which sorts by age."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))


def stamped(at: float) -> str:
    """Return the name of a backup made at `at` (Unix s)."""
    return f"edgewatt-{stamp(at)}.tar"


def _belongs(name: Path) -> bool:
    first = name.parts[0]
    if first in LEFT_OUT:
        return False
    if len(name.parts) == 1 and (first.startswith(DATABASE) or first.endswith(".log")):
        return False  # the database goes as a copy, and copies of it that an upgrade left stay
    return "incoming" not in name.parts and not any(part.startswith((".", "tmp")) for part in name.parts)
