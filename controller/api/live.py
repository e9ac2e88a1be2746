"""Live telemetry over a websocket."""

import asyncio
import logging
from collections.abc import Callable
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, WebSocket
from starlette.websockets import WebSocketDisconnect

from broker.errors import AccessError, NotFoundError
from controller.access.door import check
from controller.access.roles import Principal, Role
from controller.api.described import RESPONSES
from controller.api.parts import Asking, Given, Parts
from controller.telemetry.live import Reader

logger = logging.getLogger(__name__)
router = APIRouter(responses=RESPONSES)

TRY_AGAIN_LATER = 1013
"""The close code of a reader that is too slow."""

NOT_SIGNED_IN, NOT_FOUND = 4401, 4404
"""The close codes that say what 401 and 404 say in place of the websocket."""

SAY_WHO_S = 5.0
"""How long a reader without a token in its header may take to say one."""

LOOK_EVERY_S = 30.0
"""How soon a reader is sent away whose token was revoked or expired."""


class Greeting(msgspec.Struct, frozen=True):
    """The first message of a reader that cannot set a header."""

    token: str


@router.websocket("/ws/telemetry")
async def telemetry(
    websocket: WebSocket, parts: Given, asking: Asking, device_id: Annotated[tuple[str, ...], Query()] = ()
) -> None:
    """Send each sample as it is stored: of the devices named by `device_id`, of all when none is.

    A message is `{device_id, received_at, telemetry}`, `telemetry` as the device sent it; what was spooled on a device
    is history and does not come here. A reader for whom too much waits is closed with 1013; an unknown device is
    answered with 404 in place of the websocket.

    Where access is required, the token is in the header `Authorization`, or, from a browser, in the first message:
    `{"token": "ew_…"}`. Without a good one the websocket is closed with 4401.
    """
    if asking is None:
        await websocket.accept()
    try:
        known = asking or await _greeted(websocket, parts)
        for each in device_id:
            parts.service.known_device(each)
    except (AccessError, NotFoundError) as error:
        if asking is not None:
            raise
        code = NOT_FOUND if isinstance(error, NotFoundError) else NOT_SIGNED_IN
        await websocket.close(code, error.message)
        return
    except WebSocketDisconnect:
        return
    live = parts.ingest.hearing.live
    with live.reading(frozenset(device_id)) as reader:
        if asking is not None:
            await websocket.accept()
        try:
            await _serve(websocket, reader, lambda: parts.door.still(known, parts.clock()))
        except WebSocketDisconnect:
            return
        except AccessError as error:
            await websocket.close(NOT_SIGNED_IN, error.message)
            return
        if reader.too_slow.is_set():
            logger.info("a reader of telemetry is too slow: waiting=%d", live.most_waiting)
            reason = f"too slow: {live.most_waiting} messages waited; read faster, or name fewer devices"
            await websocket.close(TRY_AGAIN_LATER, reason)


async def _greeted(websocket: WebSocket, parts: Parts) -> Principal:
    """Return who a reader says to be. Raises AccessError, WebSocketDisconnect."""
    try:
        async with asyncio.timeout(SAY_WHO_S):
            said = msgspec.json.decode(await websocket.receive_text(), type=Greeting)
    except (TimeoutError, msgspec.DecodeError, KeyError):
        said = Greeting(token="")
    address = websocket.client.host if websocket.client else ""
    known = parts.door.known(said.token, address, parts.clock())
    check(known, Role.VIEWER)
    return known


async def _serve(websocket: WebSocket, reader: Reader, still: Callable[[], None]) -> None:
    """Send until the reader leaves, is too slow, or may no more. Raises WebSocketDisconnect, AccessError."""
    ends = {
        asyncio.create_task(_tell(websocket, reader)),
        asyncio.create_task(_leaves(websocket)),
        asyncio.create_task(reader.too_slow.wait()),
        asyncio.create_task(_look(still)),
    }
    try:
        done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in ends:
            task.cancel()
        await asyncio.gather(*ends, return_exceptions=True)


async def _tell(websocket: WebSocket, reader: Reader) -> None:
    async for message in reader.messages():
        await websocket.send_text(message)


async def _look(still: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        still()


async def _leaves(websocket: WebSocket) -> None:
    """Return when the reader leaves; what it says until then is nothing to us."""
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass
    raise WebSocketDisconnect
