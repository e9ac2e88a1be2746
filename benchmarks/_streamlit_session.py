"""One viewer of a Streamlit app without a browser: opens the websocket, asks for pages, counts what comes."""

import time
from dataclasses import dataclass, field
from typing import Self

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect

PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one run of a page cost: seconds, bytes before compression, messages; `failed` is its first exception."""

    took_s: float
    size: int
    messages: int
    failed: str = ""


@dataclass(slots=True)
class Session:
    """A viewer; `timers` are the parts of the page that draw themselves again: their id and interval in s."""

    url: str
    timers: dict[str, float] = field(default_factory=dict)
    _socket: ClientConnection | None = None
    _hash: str = ""

    def __enter__(self) -> Self:
        """Connect."""
        address = self.url.replace("http", "ws", 1) + "/_stcore/stream"
        self._socket = connect(address, max_size=None, origin=None, subprotocols=["streamlit"])  # type: ignore[list-item]
        return self

    def __exit__(self, *_: object) -> None:
        """Leave, as a closed tab does."""
        if self._socket is not None:
            self._socket.close()

    def open(self, page: str, query: str = "") -> Run:
        """Draw a page from its beginning."""
        self.timers.clear()
        asked = BackMsg()
        asked.rerun_script.page_name = page
        asked.rerun_script.query_string = query
        return self._run(asked)

    def redraw(self, fragment_id: str) -> Run:
        """Draw one part of the page again, as its timer does."""
        asked = BackMsg()
        asked.rerun_script.fragment_id = fragment_id
        asked.rerun_script.page_script_hash = self._hash
        asked.rerun_script.is_auto_rerun = True
        return self._run(asked)

    def _run(self, asked: BackMsg) -> Run:
        if self._socket is None:
            raise RuntimeError("not connected")
        size = messages = 0
        failed, began = "", time.monotonic()
        self._socket.send(asked.SerializeToString())
        while True:
            raw = self._socket.recv(PATIENCE_S)
            size, messages = size + len(raw), messages + 1
            told = ForwardMsg.FromString(raw if isinstance(raw, bytes) else raw.encode())
            kind = told.WhichOneof("type")
            if kind == "auto_rerun":
                self.timers[told.auto_rerun.fragment_id] = told.auto_rerun.interval
            elif kind == "new_session":
                self._hash = told.new_session.page_script_hash
            elif kind == "delta" and told.delta.new_element.WhichOneof("type") == "exception":
                failed = failed or told.delta.new_element.exception.message
            elif kind == "script_finished" and told.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                return Run(took_s=time.monotonic() - began, size=size, messages=messages, failed=failed)
