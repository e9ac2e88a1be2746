"""The audited stream of what happened: pages of it, exports, the archive."""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import FileResponse, StreamingResponse

from broker.errors import InvalidError
from controller.api.csv_rows import csv_lines
from controller.api.described import RESPONSES
from controller.api.parts import Given, Origin, Parts
from controller.api.turns import in_turn
from controller.archive import File
from controller.logs import CAUSES, KINDS, SAYS, Sought, event_document
from controller.outcomes import tally
from controller.storage.store import Row
from controller.times import moment

router = APIRouter(prefix="/api/logs", tags=["logs"], responses=RESPONSES)

COLUMNS = ("id", "at", "type", "who", "device_id", "deployment_id", "phase", "text", "reason", "time")

Form = Literal["csv", "json"]
AROUND_S = 300.0
"""How much before and after a time is around it."""


@dataclass(frozen=True, kw_only=True)
class ClearBody:
    """What to clear: everything `before` a time (as in `since` of a list), or all; and why."""

    before: float | str = ""
    reason: str = ""


async def _sought(
    parts: Given,
    *,
    type: str = "",  # noqa: A002 - the query's name
    device_id: str = "",
    deployment_id: str = "",
    rollout_id: str = "",
    who: str = "",
    since: str = "",
    until: str = "",
    at: str = "",
    q: str = "",
    milestones: bool = False,
) -> Sought:
    if rollout_id:
        parts.rolling.known(rollout_id)
    now = parts.clock()
    first, last = moment(since, now, "since"), moment(until, now, "until")
    if (around := moment(at, now, "at")) is not None:
        first, last = around - AROUND_S, around + AROUND_S
    return Sought(
        kind=type,
        device_id=device_id,
        deployment_id=deployment_id,
        rollout_id=rollout_id,
        who=who,
        since=first,
        until=last,
        words=q,
        milestones=milestones,
    )


Asked = Annotated[Sought, Depends(_sought)]


@router.get("")
async def list_logs(
    parts: Given,
    sought: Asked,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 100,
    cursor: str = "",
    after: str = "",
) -> dict[str, Any]:
    """List events, newest first; `cursor` is the `next_cursor` of the page before, and stays good.

    `since`, `until` and `at` (five minutes before and after) are times: 14:02, 2026-11-25T14:02, 90min (ago), all in
    UTC, or Unix seconds. `type` is a word of `/api/logs/kinds`, `who` cli, dashboard, rest, mqtt (typed by hand),
    controller, device or the id of one, `q` words that all occur (a page may be empty then, with a `next_cursor`).
    `rollout_id` means a rollout with its deployments; 404 when there is none. `milestones` leaves out log
    lines and the steps between beginning and end. `after` an event's id asks for those that came since, oldest first.
    """
    if after and cursor:
        raise InvalidError("after and cursor were both given", hint="after goes on, cursor goes back", field="after")
    if after:
        found, more = parts.stream.after(sought, limit, after), None
    else:
        found, more = parts.stream.page(sought, limit, cursor)
    logs = [event_document(event) for event in found]
    span = {"since": sought.since, "until": sought.until}
    return {"success": True, "as_of": parts.clock(), "logs": logs, "next_cursor": more} | span


@router.get("/kinds")
async def list_kinds() -> dict[str, Any]:
    """List the types of events, and who causes them."""
    kinds = [{"type": kind, "says": SAYS[kind]} for kind in KINDS]
    return {"success": True, "kinds": kinds, "who": [{"who": who, "says": says} for who, says in CAUSES.items()]}


@router.get("/export", response_class=StreamingResponse)
async def export(parts: Given, sought: Asked, format: Form = "csv") -> StreamingResponse:  # noqa: A002 - the query's name
    """Return the whole stream, or what is asked of it, as a file: newest first, sent while it is read."""
    pages = parts.stream.whole(sought)
    if format == "csv":
        body, media = csv_lines(COLUMNS, ([_told(row) for row in rows] for rows in pages)), "text/csv"
    else:
        body, media = _json(parts, sought, pages), "application/json"
    headers = {"Content-Disposition": f'attachment; filename="edgewatt-logs.{format}"'}
    return StreamingResponse(body, media_type=media, headers=headers)


@router.post("/clear")
async def clear(parts: Given, origin: Origin, body: ClearBody | None = None) -> dict[str, Any]:
    """Move events into an archive file; what still moves stays, and the clearing is an event of its own."""
    asked = body or ClearBody()
    before = moment(str(asked.before), parts.clock(), "before")
    done = await parts.archive.clear(origin, until=before, reason=asked.reason.strip())
    file = _file_document(parts, done.archived_to) if done.archived_to else {}
    answer = {"archived_to": file.get("name"), "removed": done.removed, "kept_until": file.get("kept_until")}
    return {"success": True} | answer


@router.get("/archives")
async def list_archives(parts: Given) -> dict[str, Any]:
    """List the archive files, newest first, each with the end of its time; and what is in the stream itself."""
    first, last = parts.stream.span(Sought())
    stream = {"events": parts.stream.count(), "first_at": first, "last_at": last}
    return {"success": True, "stream": stream, "archives": [_file_document(parts, f) for f in parts.archive.files()]}


@router.get("/archives/{name}", response_class=FileResponse)
async def download_archive(parts: Given, name: str) -> FileResponse:
    """Return an archive file: gzipped, a line of JSON for each event, oldest first."""
    return FileResponse(parts.archive.file(name).path, media_type="application/gzip", filename=name)


def _told(row: Row) -> Row:
    return event_document(row) | {"time": datetime.fromtimestamp(row["at"], UTC).isoformat(timespec="seconds")}


async def _json(parts: Parts, sought: Sought, pages: Iterator[list[Row]]) -> AsyncIterator[str]:
    yield '{"logs": ['
    between = ""
    async for rows in in_turn(filter(None, pages)):
        yield between + ", ".join(json.dumps(event_document(row)) for row in rows)
        between = ", "
    yield f'], "metadata": {json.dumps(_metadata(parts, sought))}}}'


def _metadata(parts: Parts, sought: Sought) -> dict[str, Any]:
    """Return when the events happened, and how the deployments of the same device, rollout and time ended."""
    first, last = parts.stream.span(sought)
    asked: dict[str, Any] = {"device_id": sought.device_id, "rollout_id": sought.rollout_id}
    ended = tally(parts.service.deployments.count(**asked, since=sought.since, until=sought.until))
    told = ("total_deployments", "success_count", "error_count", "success_rate")
    return {"created_at": first, "last_updated": last} | {name: ended.document[name] for name in told}


def _file_document(parts: Parts, file: File) -> dict[str, Any]:
    known = {name: value for name, value in asdict(file).items() if name != "path"}
    return known | {"kept_until": parts.archive.kept_until(file)}
