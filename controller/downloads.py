"""How many files of models go out at once: as many as this process may open files for; who is too many comes again."""

import errno
import logging
import random
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from broker.errors import RefusedError

logger = logging.getLogger(__name__)

OPEN_FILES = 65_536
"""No more are asked for: enough for twenty thousand downloads at once."""

OTHER_FILES = 256
"""Kept for the database, the broker, and whoever asks for anything else."""

FILES_EACH = 3
"""The connection, the file, and the descriptor by which the kernel sends one through the other."""

NO_MORE_FILES = frozenset({errno.EMFILE, errno.ENFILE})

FEW = 1_000
AGAIN_S = (5, 20)
"""When who is too many is to come again; drawn, so that they do not come together."""


@dataclass(slots=True, kw_only=True)
class Downloads:
    """What goes out, `most` at once, and how many were told to come again."""

    most: int = field(default_factory=lambda: at_once(open_files()))
    at_work: int = 0
    refused: int = 0

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """Count a download while it goes on. Raises RefusedError (`too_many_downloads`) with `retry_after_s`."""
        if self.at_work >= self.most:
            raise self._again(f"{self.at_work} files are being fetched, and more than {self.most} at once are too many")
        self.at_work += 1
        try:
            yield
        except OSError as error:
            if error.errno not in NO_MORE_FILES:
                raise
            raise self._again("so many files are open that there is no room for another") from None
        finally:
            self.at_work -= 1

    def _again(self, said: str) -> RefusedError:
        self.refused += 1
        wait_s = random.randint(*AGAIN_S)  # noqa: S311 - spreads a fleet; nothing secret
        hint = f"come again in {wait_s} s; the controller's limit of open files says how many"
        return RefusedError(said, code="too_many_downloads", hint=hint, retry_after_s=wait_s)


def at_once(open_files: int) -> int:
    """Return how many downloads a process has room for that may have so many files open."""
    return max(1, (open_files - OTHER_FILES) // FILES_EACH)


def open_files() -> int:
    """Return how many files this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return OPEN_FILES if soft == resource.RLIM_INFINITY else soft


def take_open_files() -> None:
    """Let this process open as many files as the system allows it, and say so when they are few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        with suppress(OSError, ValueError):  # where the system forbids to ask, what there is has to do
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if at_once(open_files()) < FEW:
        said = "this process may open %d files, enough for %d downloads at once, and asks others to come again; %s"
        hint = "raise the limit: LimitNOFILE= of the service, or ulimit -Hn"
        logger.warning(said, open_files(), at_once(open_files()), hint)
