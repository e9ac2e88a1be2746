"""Lets nobody in whom the door does not admit; who asks is told to all behind it."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from broker.errors import AccessError, InvalidError, StorageError
from controller.access.door import Asked, Door
from controller.api.errors import refusal
from controller.api.exact import told


@dataclass(frozen=True, slots=True)
class Guard:
    """An application around `app`; `scope["state"]["principal"]` is who asks."""

    app: ASGIApp
    door: Door
    clock: Callable[[], float]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is admitted, refuse the rest before its body is read."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        try:
            principal = self.door.admit(Asked.of(scope), self.clock())
        except (AccessError, InvalidError, StorageError) as error:
            await refusal(error)(scope, told(b"", None), send)
            return
        scope.setdefault("state", {})["principal"] = principal
        await self.app(scope, receive, send)
