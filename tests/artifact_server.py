"""A real HTTP server of artifacts with Range, and every misbehaviour a network offers."""

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Fault = dict


@dataclass
class Artifacts:
    """What the server holds; `faults` are used up one a request, `hold` stops bodies half way until it is set."""

    base_url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    requests: list[dict] = field(default_factory=list)
    asked: threading.Event = field(default_factory=threading.Event)
    hold: threading.Event | None = None

    def add(self, sha256, data):
        self.files[f"/models/sha256/{sha256}"] = data


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.artifacts.requests.append(dict(self.headers))
        self.server.artifacts.asked.set()
        fault = self.server.artifacts.faults.pop(0) if self.server.artifacts.faults else {}
        self.close_connection = True
        data = self.server.artifacts.files.get(self.path)
        status = fault.get("status") or (404 if data is None else 200)
        if status not in (200, 206):
            self.send_response(status)
            for name, value in fault.get("headers", {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.answer(fault.get("data", data), fault)

    def answer(self, data, fault):
        start = 0
        wanted = self.headers.get("Range")
        etag = fault.get("etag", f'"{hash(data)}"')
        unchanged = self.headers.get("If-Range") in (None, etag)
        if wanted and unchanged and not fault.get("ignore_range"):
            start = int(wanted.removeprefix("bytes=").rstrip("-")) + fault.get("shift", 0)
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        if etag:
            self.send_header("ETag", etag)
        if not fault.get("no_length"):
            self.send_header("Content-Length", str(fault.get("length", len(data) - start)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.body(data[start:], fault)

    def body(self, data, fault):
        sent = data[: fault["cut"]] if "cut" in fault else data
        half = len(sent) // 2 if self.server.artifacts.hold is not None or "stall" in fault else len(sent)
        try:
            self.wfile.write(sent[:half])
            self.wfile.flush()
            if "stall" in fault:
                fault["stall"].wait(10)
                return
            if self.server.artifacts.hold is not None:
                self.server.artifacts.hold.wait(30)
            self.wfile.write(sent[half:])
        except OSError:
            pass


@contextmanager
def serving():
    """Yield the Artifacts of a server on loopback."""
    artifacts = Artifacts()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.artifacts = artifacts
    artifacts.base_url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield artifacts
    finally:
        if artifacts.hold is not None:
            artifacts.hold.set()
        server.shutdown()
        server.server_close()
        thread.join()
