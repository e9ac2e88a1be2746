"""Finds what to measure: a file, every model in a folder, or everything in a controller's catalogue."""

import hashlib
import http.client
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import urljoin, urlsplit
from urllib.request import Request, urlopen

from broker.commands import ArtifactRef
from broker.errors import ArtifactError, InvalidError, NotFoundError, UnreachableError
from edge_agent.download import Downloader, Patience, forget
from edge_agent.files import storage_error

FORMATS = ("onnx", "tflite")

DIGEST = re.compile("[0-9a-f]{64}")

PAGE = 500
TIMEOUT_S = 20.0
MOST_BYTES = 50_000_000
"""Of one page of a catalogue: a thousand models take under one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One model to measure; `sha256` None is read from the file. Facts of a catalogue go before those of a list."""

    model: str
    format: str
    path: Path
    sha256: str | None = None
    url: str | None = None
    size: int = 0
    params_m: float | None = None
    gmacs: float | None = None
    input_res: int | None = None


def on_disk(path: Path, formats: tuple[str, ...] = FORMATS) -> tuple[Subject, ...]:
    """Return the model at `path`, or those in the folder `path` and below by name; raises NotFoundError."""
    if path.is_dir():
        files = sorted(file for form in formats for file in path.rglob(f"*.{form}") if file.is_file())
        if not files:
            raise NotFoundError(f"there is no model in {path}", hint=f"it looks for {', '.join(formats)} files")
    elif path.is_file():
        files = [path]
    else:
        raise NotFoundError(f"there is no file {path}", hint="name a model file, or a folder of them")
    return tuple(Subject(model=file.stem, format=file.suffix.removeprefix("."), path=file) for file in files)


def in_catalogue(base_url: str, folder: Path) -> tuple[Subject, ...]:
    """Return what the controller at `base_url` has an artifact of; its files will be in `folder`.

    Raises UnreachableError, InvalidError for a URL that is none.
    """
    if urlsplit(base_url).scheme not in ("http", "https"):
        raise InvalidError(f"'{base_url}' is no address of a controller", code="bad_url", hint="http://host:5000")
    subjects = tuple(s for document in _catalogue(base_url) for s in _artifacts(document, base_url, folder))
    if not subjects:
        raise NotFoundError(f"the controller at {base_url} has no artifact of any model")
    return subjects


def fetched(subject: Subject, stop: Event) -> str:
    """Return the SHA-256 of `subject`'s file, which is downloaded first where it is not here.

    Raises ArtifactError for a file that is not what its hash says, or cannot be had or read.
    """
    if subject.url is None or subject.sha256 is None:
        return _digest(subject.path)
    if subject.path.is_file() and _digest(subject.path) == subject.sha256:
        return subject.sha256
    ref = ArtifactRef(url=subject.url, sha256=subject.sha256, size=subject.size, format=subject.format)
    part = subject.path.with_name(subject.path.name + ".part")
    host = urlsplit(subject.url).hostname or ""
    downloader = Downloader(patience=Patience(give_up_s=120.0))
    try:
        subject.path.parent.mkdir(parents=True, exist_ok=True)
        downloader.fetch(ref, part, stop=stop, on_progress=_nothing, hosts=frozenset({host}))
        digest = _digest(part)
        if digest != subject.sha256:
            forget(part)
            raise ArtifactError(f"{subject.model} is not what its hash says", code="hash_mismatch")
        part.replace(subject.path)
        forget(part)
    except OSError as error:
        raise storage_error(error, subject.path) from error
    return digest


def _nothing(_have: int, _size: int) -> None:
    """Tell nobody how far a download is: the sweep tells how many models are done."""


def _catalogue(base_url: str) -> Iterator[dict[str, Any]]:
    offset, total = 0, 1
    while offset < total:
        page = _get(urljoin(base_url, f"/api/models/all?stored=true&limit={PAGE}&offset={offset}"))
        models, total = page.get("models"), _whole(page.get("total")) or 0
        if not isinstance(models, list) or not models:
            return
        yield from (model for model in models if isinstance(model, dict))
        offset += len(models)


def _get(url: str) -> dict[str, Any]:
    try:
        with urlopen(Request(url, headers={"Accept": "application/json"}), timeout=TIMEOUT_S) as answer:  # noqa: S310 - its scheme was checked
            document = json.loads(answer.read(MOST_BYTES))
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise UnreachableError(f"cannot read the catalogue at {url}: {error}") from None
    if not isinstance(document, dict):
        raise UnreachableError(f"what {url} answers is no catalogue")
    return document


def _artifacts(document: dict[str, Any], base_url: str, folder: Path) -> Iterator[Subject]:
    """Yield a subject for each file that the model in `document` has, in formats that we know."""
    name, artifacts = document.get("name"), document.get("artifacts")
    for each in artifacts if isinstance(artifacts, list) else ():
        if not isinstance(each, dict) or not isinstance(name, str) or each.get("evicted_at") is not None:
            continue
        sha256, size, form = each.get("sha256"), _whole(each.get("size")), each.get("format")
        if isinstance(sha256, str) and DIGEST.fullmatch(sha256) and size is not None and form in FORMATS:
            yield Subject(
                model=name,
                format=form,
                path=folder / f"{sha256}.{form}",
                sha256=sha256,
                url=urljoin(base_url, f"/models/sha256/{sha256}"),
                size=size,
                params_m=_number(document.get("params_m")),
                gmacs=_number(document.get("gmacs")),
                input_res=_whole(document.get("input_res")),
            )


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ArtifactError(f"cannot read {path}: {error.strerror}") from None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0 else None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
