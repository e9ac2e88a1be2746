"""The files of models: downloads, checks, the archive."""

import asyncio
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Response

from broker.errors import NotFoundError
from controller.api.described import RESPONSES
from controller.api.files import IMMUTABLE, Asked, serve
from controller.api.parts import Given, Origin
from controller.models.checking import check
from controller.models.store import DIGEST

router = APIRouter(tags=["models"], responses=RESPONSES)

Text = Annotated[str | None, Header()]


@dataclass(frozen=True, kw_only=True)
class VerifyBody:
    """Which model to verify; every one when none is named."""

    model_name: str | None = None


@dataclass(frozen=True, kw_only=True)
class ArchiveBody:
    """Which model to put away, or to bring back."""

    model_name: str
    undo: bool = False


async def _asked(range: Text = None, if_range: Text = None, if_none_match: Text = None) -> Asked:  # noqa: A002 - the header's name
    return Asked(range=range, if_range=if_range, if_none_match=if_none_match)


Conditions = Annotated[Asked, Depends(_asked)]


@router.get("/models/sha256/{sha256}", response_class=Response)
@router.head("/models/sha256/{sha256}", include_in_schema=False)
async def download(parts: Given, asked: Conditions, sha256: str) -> Response:
    """Serve an artifact by its hash, with Range and ETag."""
    return await serve(parts.service.artifacts, sha256, asked, cache=IMMUTABLE)


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
        return await serve(parts.service.artifacts, artifact, asked, cache=IMMUTABLE)
    found = [each for each in parts.catalogue.get(artifact).artifacts if format in (None, each.format)]
    if not found:
        what = f"{artifact} is not in the store" + (f" as {format}" if format else "")
        raise NotFoundError(what, code="no_artifact", hint=f"edgewatt models show {artifact}")
    return await serve(parts.service.artifacts, found[0].sha256, asked, cache="no-cache")


@router.post("/api/models/verify")
async def verify(parts: Given, body: VerifyBody | None = None) -> dict[str, Any]:
    """Read the files of a model again, all when none is named: hash, signature, and what their golden check said."""
    name, store = (body or VerifyBody()).model_name, parts.service.artifacts
    asked = [(each, known) for each in store.all() for known in each.models if name in (None, known)]
    if name is not None and not asked:
        raise NotFoundError(f"{name[:80]!r} is not in the store", code="no_artifact", hint="edgewatt models list")
    loop = asyncio.get_running_loop()
    found = [await loop.run_in_executor(None, check, store, each, known, store.signer) for each, known in asked]
    documents = [asdict(each) | {"ok": each.ok} for each in found]
    return {"success": True, "ok": all(each.ok for each in found), "artifacts": documents}


@router.post("/api/models/archive")
async def archive(parts: Given, origin: Origin, body: ArchiveBody) -> dict[str, Any]:
    """Put a model away, or bring it back with `undo`; 409 with the places while it is in use."""
    with parts.service.store.transaction():
        parts.keeping.archive(body.model_name, origin, parts.clock(), undo=body.undo)
    return {"success": True, "model": body.model_name, "archived": not body.undo}
