"""Live telemetry over a websocket."""

import asyncio
import logging
from typing import Annotated

from fastapi import APIRouter, Query, WebSocket
from starlette.websockets import WebSocketDisconnect

from controller.api.parts import Given
from controller.live import Reader

logger = logging.getLogger(__name__)
router = APIRouter()

TRY_AGAIN_LATER = 1013
"""The close code of a reader that is too slow."""


@router.websocket("/ws/telemetry")
async def telemetry(websocket: WebSocket, parts: Given, device_id: Annotated[tuple[str, ...], Query()] = ()) -> None:
    """Send each sample as it is stored: of the devices named by `device_id`, of all when none is.

    A message is `{device_id, received_at, telemetry}`, `telemetry` as the device sent it; what was spooled on a device
    is history and does not come here. A reader for whom too much waits is closed with 1013; an unknown device is
    answered with 404 in place of the websocket.
    """
    for each in device_id:
        parts.service.known_device(each)
    live = parts.ingest.hearing.live
    with live.reading(frozenset(device_id)) as reader:
        await websocket.accept()
        try:
            await _serve(websocket, reader)
        except WebSocketDisconnect:
            return
        if reader.too_slow.is_set():
            logger.info("a reader of telemetry is too slow: waiting=%d", live.most_waiting)
            reason = f"too slow: {live.most_waiting} messages waited; read faster, or name fewer devices"
            await websocket.close(TRY_AGAIN_LATER, reason)


async def _serve(websocket: WebSocket, reader: Reader) -> None:
    """Send until the reader leaves or is too slow. Raises WebSocketDisconnect."""
    ends = {
        asyncio.create_task(_tell(websocket, reader)),
        asyncio.create_task(_leaves(websocket)),
        asyncio.create_task(reader.too_slow.wait()),
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


async def _leaves(websocket: WebSocket) -> None:
    """Return when the reader leaves; what it says until then is nothing to us."""
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass
    raise WebSocketDisconnect
