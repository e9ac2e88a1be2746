"""Sends notices to the receiver that is set, one after the other, again and again until it takes them."""

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from broker.errors import InvalidError, StorageError
from controller.alerts.notices import Notices

logger = logging.getLogger(__name__)

TIMEOUT_S = 10.0
FIRST_RETRY_S = 5.0
LAST_RETRY_S = 600.0
LOOK_EVERY_S = 1.0
TAKEN = range(200, 300)


@dataclass(slots=True, kw_only=True)
class Webhook:
    """Posts JSON to `url`; nothing waits for it, and a receiver that does not answer is said once and counted."""

    url: str
    notices: Notices
    clock: Callable[[], float]
    look_every_s: float = LOOK_EVERY_S

    async def run(self) -> None:
        """Send until cancelled; a full disk only delays it."""
        import httpx  # noqa: PLC0415 - loaded only where a receiver is set

        async with httpx.AsyncClient(timeout=TIMEOUT_S, follow_redirects=False) as http:
            while True:
                try:
                    busy = await self._send_next(http)
                except StorageError as error:
                    logger.warning("a notice cannot be written off: %s", error.message)
                    busy = False
                if not busy:
                    await asyncio.sleep(self.look_every_s)

    async def _send_next(self, http: Any) -> bool:
        """Send what is due, if anything is; return whether there may be more."""
        if self.notices.urgent:
            payload = self.notices.urgent.pop(0)
            await self._post(http, json.dumps(payload))
            return True
        row = self.notices.due(self.clock())
        if row is None:
            return False
        fault = await self._post(http, row["payload"])
        at = self.clock()
        with self.notices.store.transaction():
            if fault is None:
                self.notices.taken(row)
            else:
                wait_s = min(LAST_RETRY_S, FIRST_RETRY_S * 2 ** min(row["tries"], 20))
                self.notices.put_off(row, at + wait_s, at)
            self._note(fault, at)
        return fault is None

    async def _post(self, http: Any, payload: str) -> str | None:
        """Return why the receiver did not take it, None when it did."""
        import httpx  # noqa: PLC0415 - loaded already

        try:
            answer = await http.post(self.url, content=payload, headers={"Content-Type": "application/json"})
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            fault = f"does not answer: {type(error).__name__}"
        else:
            fault = "" if answer.status_code in TAKEN else f"answers {answer.status_code}"
        self.notices.failed += bool(fault)
        self.notices.sent += not fault
        return fault or None

    def _note(self, fault: str | None, at: float) -> None:
        """Say once that the receiver is dead, and that it lives again."""
        if bool(fault) == bool(self.notices.fault):
            self.notices.fault = fault
            return
        self.notices.fault = fault
        said = f"{fault}; notices wait" if fault else "takes notices again"
        self.notices.store.add_event(at, "alert", f"the receiver of alerts at {place(self.url)} {said}")


def place(url: str) -> str:
    """Return whose address it is, without what may be a secret in its path."""
    found = urlsplit(url)
    return f"{found.scheme}://{found.hostname or ''}{f':{found.port}' if found.port else ''}"


def checked(url: str) -> str:
    """Return the address of a receiver. Raises InvalidError."""
    try:
        found = urlsplit(url)
        sound = found.scheme in ("http", "https") and bool(found.hostname) and (found.port or 1) > 0
    except ValueError:
        sound = False
    if url and not sound:
        raise InvalidError(
            f"alert_webhook_url '{url[:60]}' is no address", hint="http://… or https://…", field="alert_webhook_url"
        )
    return url
