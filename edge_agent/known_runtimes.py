"""Remembers which runtimes ran here, so that a restart does not prove them again."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from broker.errors import StorageError, WireError
from broker.messages import RuntimeInfo
from broker.wire import decode, encode
from edge_agent.files import write_whole
from edge_agent.runtimes import Rejected, Working, working
from edge_agent.runtimes.session import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """The runtimes that ran, and the installed packages they were proved with."""

    key: str
    infos: tuple[RuntimeInfo, ...] = ()


def known(
    path: Path, runtimes: Sequence[Runtime], *, asked: str = ""
) -> tuple[tuple[Working, ...], tuple[Rejected, ...]]:
    """Return the working runtimes of `runtimes`; from `path`, when since then nothing was installed or `asked` for."""
    installed = (f"{name}={_installed(name)}" for name in (*(runtime.module for runtime in runtimes), "numpy"))
    key = " ".join((asked, *(runtime.name for runtime in runtimes), *installed))
    try:
        proved = decode(Proved, path.read_bytes())
    except (FileNotFoundError, WireError):
        proved = Proved(key="")
    if proved.key == key and proved.infos:
        infos = {info.name: info for info in proved.infos}
        ran = (runtime for runtime in runtimes if runtime.name in infos)
        return tuple(Working(runtime=r.proved(infos[r.name]), info=infos[r.name]) for r in ran), ()
    found, rejected = working(runtimes)
    with contextlib.suppress(StorageError):  # on a full disk they are proved again next time
        write_whole(path, encode(Proved(key=key, infos=tuple(one.info for one in found))))
    return found, rejected


def _installed(module: str) -> str:
    """Return where `module` is and when it was put there; without importing it."""
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        return "none"
    return f"{spec.origin}@{Path(spec.origin).stat().st_mtime_ns}"
