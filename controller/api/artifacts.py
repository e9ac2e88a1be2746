"""The bytes of models, which devices download."""

import asyncio
from dataclasses import dataclass
from typing import IO, Annotated

from fastapi import APIRouter, Depends, Header, Response

from broker.errors import InvalidError, NotFoundError
from controller.api.errors import answer
from controller.api.file_response import OpenFileResponse
from controller.api.parts import Given
from controller.api.ranges import Span, continues, is_known, wanted_span
from controller.models.store import DIGEST, ArtifactStore

router = APIRouter(tags=["models"])

IMMUTABLE = "public, max-age=31536000, immutable"
NOT_MODIFIED = 304
PARTIAL = 206
RANGE_NOT_SATISFIABLE = 416

Text = Annotated[str | None, Header()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which of the bytes a client asks for, and which file it has already."""

    range: str | None
    if_range: str | None
    if_none_match: str | None


def _asked(range: Text = None, if_range: Text = None, if_none_match: Text = None) -> Asked:  # noqa: A002 - the header's name
    return Asked(range=range, if_range=if_range, if_none_match=if_none_match)


Conditions = Annotated[Asked, Depends(_asked)]


@router.get("/models/sha256/{sha256}", response_class=Response)
@router.head("/models/sha256/{sha256}", include_in_schema=False)
async def download(parts: Given, asked: Conditions, sha256: str) -> Response:
    """Serve an artifact by its hash, with Range and ETag."""
    return await _serve(parts.service.artifacts, sha256, asked, cache=IMMUTABLE)


@router.get("/models/{artifact}", response_class=Response)
@router.head("/models/{artifact}", include_in_schema=False)
async def download_named(
    parts: Given,
    asked: Conditions,
    artifact: str,
    format: str | None = None,  # noqa: A002 - the query's name
) -> Response:
    """Serve an artifact by its hash, or the newest one of a model, in the preferred format or in `format`."""
    if DIGEST.fullmatch(artifact):
        return await _serve(parts.service.artifacts, artifact, asked, cache=IMMUTABLE)
    found = [each for each in parts.catalogue.get(artifact).artifacts if format in (None, each.format)]
    if not found:
        what = f"{artifact} is not in the store" + (f" as {format}" if format else "")
        raise NotFoundError(what, code="no_artifact", hint=f"edgewatt models show {artifact}")
    return await _serve(parts.service.artifacts, found[0].sha256, asked, cache="no-cache")


async def _serve(store: ArtifactStore, sha256: str, asked: Asked, *, cache: str) -> Response:
    file = await asyncio.get_running_loop().run_in_executor(None, store.open, sha256)
    tag = f'"{sha256}"'
    headers = {"ETag": tag, "X-Checksum-SHA256": sha256, "Accept-Ranges": "bytes", "Cache-Control": cache}
    if is_known(asked.if_none_match, tag):
        file.close()
        return Response(status_code=NOT_MODIFIED, headers=headers)
    return _ranged(file, asked.range if continues(asked.if_range, tag) else None, headers)


def _ranged(file: IO[bytes], asked: str | None, headers: dict[str, str]) -> Response:
    size = file.seek(0, 2)
    try:
        span = wanted_span(asked, size)
    except InvalidError as error:
        file.close()
        refusal = answer(RANGE_NOT_SATISFIABLE, error.message, error.code, error.hint)
        refusal.headers["Content-Range"] = f"bytes */{size}"
        return refusal
    if span is None:
        return OpenFileResponse(file, Span(0, size), headers=headers)
    headers |= {"Content-Range": f"bytes {span.start}-{span.end - 1}/{size}"}
    return OpenFileResponse(file, span, status_code=PARTIAL, headers=headers)
