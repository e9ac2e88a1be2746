"""Remembers which runtimes ran here, so that a restart does not prove them again."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from broker.errors import WireError
from broker.messages import RuntimeInfo
from broker.wire import decode, encode
from edge_agent.files import write_whole
from edge_agent.runtimes import Rejected, working
from edge_agent.runtimes.session import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """The runtimes that ran, and the installed versions they were proved with."""

    key: str
    infos: tuple[RuntimeInfo, ...] = ()


def known(path: Path, runtimes: Sequence[Runtime]) -> tuple[tuple[RuntimeInfo, ...], tuple[Rejected, ...]]:
    """Return the working runtimes of `runtimes`, from `path` when nothing was installed since."""
    key = " ".join(f"{r.name}={_installed(r.name)}" for r in runtimes)
    try:
        proved = decode(Proved, path.read_bytes())
    except (FileNotFoundError, WireError):
        proved = Proved(key="")
    if proved.key == key and proved.infos:
        return proved.infos, ()
    found, rejected = working(runtimes)
    proved = Proved(key=key, infos=tuple(w.info for w in found))
    write_whole(path, encode(proved))
    return proved.infos, rejected


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
