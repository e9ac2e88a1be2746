"""A hub of one file on this machine: what the Hugging Face client asks, with ranges, and a line that may be cut."""

import hashlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

FILE = "/model.safetensors"
COMMIT = "a" * 40


class Hub:
    """Serves `content` as any repository's model.safetensors; the first `cut` answers end in the middle."""

    def __init__(self, content, *, cut=0):
        self.content = content
        self.cut = cut
        self.ranges = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self):
                if self.path.endswith(FILE):
                    self.answer(200, len(hub.content))
                else:
                    self.send_error(404)

            def do_GET(self):
                if not self.path.endswith(FILE):
                    self.send_error(404)
                    return
                asked = self.headers.get("Range")
                hub.ranges.append(asked)
                first = int(asked.removeprefix("bytes=").split("-")[0]) if asked else 0
                self.answer(206 if asked else 200, len(hub.content) - first, first)
                rest = hub.content[first:]
                if hub.cut > 0:
                    hub.cut -= 1
                    rest = rest[: len(rest) // 2]
                    self.close_connection = True
                self.wfile.write(rest)

            def answer(self, status, length, first=0):
                self.send_response(status)
                self.send_header("ETag", f'"{hashlib.sha256(hub.content).hexdigest()}"')
                self.send_header("X-Repo-Commit", COMMIT)
                self.send_header("Accept-Ranges", "bytes")
                self.send_header("Content-Length", str(length))
                if status == 206:
                    end = len(hub.content) - 1
                    self.send_header("Content-Range", f"bytes {first}-{end}/{len(hub.content)}")
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
