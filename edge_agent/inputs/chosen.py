"""Makes the source of inputs that the setting `input` names."""

from pathlib import Path

from broker.errors import InvalidError
from edge_agent.inputs.source import Inputs

HINT = "one of samples, folder:PATH, camera:0, http:8080"
MOST_PORT = 65_535
RESULTS = "results.jsonl"


def check(text: str) -> None:
    """Raise InvalidError (`bad_setting`) for a `text` that names no source."""
    kind, _, rest = text.partition(":")
    numbered = rest.isascii() and rest.isdigit()
    match kind:
        case "samples" if not rest:
            return
        case "folder" if rest:
            return
        case "camera" if numbered:
            return
        case "http" if numbered and int(rest) <= MOST_PORT:
            return
    raise InvalidError(f"input cannot be '{text[:80]}'", code="bad_setting", hint=HINT)


def chosen(text: str, data: Path) -> Inputs | None:
    """Return the source that `text` names, None for the model's own samples; results are kept under `data`.

    Raises InvalidError (`bad_setting`), RuntimeUnavailableError (`extra_missing`), ConflictError (`port_taken`).
    """
    check(text)
    kind, _, rest = text.partition(":")
    match kind:
        case "folder":
            return _folder(Path(rest).expanduser(), data)
        case "camera":
            return _camera(int(rest), data)
        case "http":
            from edge_agent.inputs.loopback import Loopback  # noqa: PLC0415 - a device without it stays small

            return Loopback(int(rest))
        case _:
            return None


def _folder(path: Path, data: Path) -> Inputs:
    from edge_agent.inputs.folder import Folder, seen_of  # noqa: PLC0415 - a device without it stays small
    from edge_agent.inputs.pictures import check_installed  # noqa: PLC0415 - same
    from edge_agent.inputs.results import Results  # noqa: PLC0415 - same

    check_installed()
    if not path.is_dir():
        raise InvalidError(f"there is no folder {path}", code="bad_setting", hint="make it first")
    return Folder(path=path, results=Results(path=data / RESULTS), seen=seen_of(path, data))


def _camera(number: int, data: Path) -> Inputs:
    from edge_agent.inputs.camera import Camera, check_installed  # noqa: PLC0415 - a device without it stays small
    from edge_agent.inputs.results import Results  # noqa: PLC0415 - same

    check_installed()
    return Camera(number=number, results=Results(path=data / RESULTS))
