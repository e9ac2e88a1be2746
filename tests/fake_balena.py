"""Balena's API in small: the OData that we speak, over real HTTP, and it refuses what the real one refuses.

Run it by hand: `python -m tests.fake_balena --port 8900`; its token is `secret`, its fleet `acme/line`.
"""

import argparse
import json
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "secret"
SLUG = "acme/line"
GOOD, BETTER, BROKEN, FOREIGN, RECALLED = 101, 102, 103, 201, 104
UUIDS = [f"{number:032x}" for number in (0xA1, 0xB2, 0xC3)]

RELATIONS = {
    "device": {
        "belongs_to__application": "application",
        "is_of__device_type": "device_type",
        "is_running__release": "release",
        "should_be_running__release": "release",
        "is_pinned_on__release": "release",
    },
    "application": {"should_be_running__release": "release"},
    "release": {"belongs_to__application": "application"},
}
KEYS = {"device": "uuid", "application": "slug", "release": "id", "device_type": "slug"}
ON_DEMAND = {"overall_status"}


class RefusedError(Exception):
    """What the API answers instead."""

    def __init__(self, status, text):
        super().__init__(text)
        self.status, self.text = status, text


def release(number, version, status="success", slug=SLUG, **more):
    made = {"id": number, "commit": f"{number:040x}", "raw_version": version, "status": status}
    return made | {"is_invalidated": False, "belongs_to__application": slug} | more


def device(uuid, name, *, pinned=None, running=GOOD, **more):
    row = {"uuid": uuid, "device_name": name, "status": "Idle", "overall_status": "idle", "is_online": True}
    row |= {"last_connectivity_event": "2026-11-29T10:00:00.000Z", "ip_address": "192.168.1.20"}
    row |= {"os_version": "balenaOS 6.1.2", "supervisor_version": "17.0.1", "cpu_temp": 48, "is_undervolted": False}
    row |= {"belongs_to__application": SLUG, "is_of__device_type": "raspberrypi5"}
    row |= {"is_running__release": running, "is_pinned_on__release": pinned}
    return row | more


@dataclass
class FakeBalena:
    """What it holds: tables by resource, log lines by uuid; `faults` are used up one a request."""

    url: str = ""
    tables: dict = field(default_factory=dict)
    lines: dict = field(default_factory=dict)
    faults: list = field(default_factory=list)
    requests: list = field(default_factory=list)

    def __post_init__(self):
        self.reset()

    def reset(self):
        """Be as at the beginning."""
        self.faults.clear()
        self.requests.clear()
        self.tables = {
            "application": [
                {"slug": SLUG, "app_name": "line", "should_track_latest_release": True}
                | {"should_be_running__release": GOOD},
                {"slug": "acme/empty", "app_name": "empty", "should_track_latest_release": True}
                | {"should_be_running__release": None},
            ],
            "device_type": [{"slug": "raspberrypi5"}],
            "release": [
                release(GOOD, "1.0.0", created_at="2026-11-01T00:00:00.000Z"),
                release(BETTER, "1.1.0", created_at="2026-11-20T00:00:00.000Z"),
                release(BROKEN, "1.2.0", "failed", created_at="2026-11-21T00:00:00.000Z"),
                release(RECALLED, "1.3.0", is_invalidated=True, created_at="2026-11-22T00:00:00.000Z"),
                release(FOREIGN, "9.0.0", slug="acme/empty", created_at="2026-11-22T00:00:00.000Z"),
            ],
            "device": [
                device(UUIDS[0], "gate"),
                device(UUIDS[1], "belt", is_undervolted=True, cpu_temp=71, overall_status="updating"),
                device(UUIDS[2], "roof", pinned=GOOD, is_online=False, overall_status="disconnected"),
            ],
        }
        for uuid in UUIDS:
            self.lines[uuid] = [
                {"timestamp": 1_790_000_000_000 + n, "createdAt": 1_790_000_000_000 + n, "message": f"line {n}"}
                | {"isSystem": n == 0, "isStdErr": n == 2, "serviceId": None if n == 0 else 7}
                for n in range(3)
            ]

    def find(self, resource, key):
        return next((row for row in self.tables[resource] if row[KEYS[resource]] == key), None)

    @property
    def writes(self):
        return [(path, body) for method, path, body in self.requests if method != "GET"]

    def get(self, resource, key, query):
        chosen = self.tables[resource] if key is None else [self.find(resource, key)]
        rows = [row for row in chosen if row is not None and matches(resource, row, query.get("$filter"))]
        if order := query.get("$orderby"):
            name, _, way = order.partition(" ")
            rows.sort(key=lambda row: row[known(resource, name)] or "", reverse=way == "desc")
        return {"d": [self.shown(resource, row, query) for row in rows[: int(query.get("$top", 10_000))]]}

    def shown(self, resource, row, query):
        wanted = query["$select"].split(",") if "$select" in query else sorted(set(row) - ON_DEMAND)
        told = {name: row[known(resource, name)] for name in wanted}
        for name, select in re.findall(r"(\w+)(?:\(\$select=([\w,]+)\))?(?:,|$)", query.get("$expand", "")):
            if name not in RELATIONS.get(resource, {}):
                raise RefusedError(400, f"Could not match relationship '{name}'")
            other = RELATIONS[resource][name]
            found = self.find(other, self.target(resource, row, name))
            told[name] = [] if found is None else [self.shown(other, found, {"$select": select} if select else {})]
        return told

    def target(self, resource, row, name):
        """Where a relation leads; what a device should be running is computed."""
        if (resource, name) != ("device", "should_be_running__release"):
            return row[name]
        fleet = self.find("application", row["belongs_to__application"])
        return row["is_pinned_on__release"] or (fleet or {}).get("should_be_running__release")

    def patch(self, resource, key, body):
        if key is None:
            raise RefusedError(400, "PATCH needs a key or a filter")
        if resource == "device" and "should_be_running__release" in body:
            raise RefusedError(400, "should_be_running__release is a computed field and cannot be written")
        row = self.find(resource, key)
        for name, value in body.items() if row is not None else ():
            if name.endswith("__release"):
                wanted = self.find("release", value)
                if wanted is None or wanted["status"] != "success":
                    raise RefusedError(400, "Release must be successful and of the same application")
            row[known(resource, name)] = value


def known(resource, name):
    if name in FIELDS[resource]:
        return name
    raise RefusedError(400, f"Could not match field '{name}' of {resource}")


def matches(resource, row, wanted):
    for term in re.split(r" and (?=(?:[^']*'[^']*')*[^']*$)", wanted or ""):
        inner = re.fullmatch(r"(\w+)/any\(a:a/(\w+) eq '((?:[^']|'')*)'\)", term)
        plain = re.fullmatch(r"(\w+) eq (?:'((?:[^']|'')*)'|(true|false|\d+))", term)
        if inner and KEYS[RELATIONS[resource][inner[1]]] == inner[2]:
            if row[inner[1]] != inner[3].replace("''", "'"):
                return False
        elif plain:
            value = plain[2].replace("''", "'") if plain[2] is not None else json.loads(plain[3])
            if row[known(resource, plain[1])] != value:
                return False
        elif term:
            raise RefusedError(400, f"Failed to parse '{term}'")
    return True


FIELDS = {resource: set(rows[0]) for resource, rows in FakeBalena().tables.items()}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def _serve(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        url = urlsplit(self.path)
        self.server.fake.requests.append((self.command, unquote(url.path), body))
        fault = self.server.fake.faults.pop(0) if self.server.fake.faults else None
        if fault is not None:
            self._fault(**fault)
            return
        try:
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            self._answer(200, json.dumps(self._of(unquote(url.path), query, body)))
        except RefusedError as refused:
            self._answer(refused.status, json.dumps(refused.text))

    do_GET = do_PATCH = do_DELETE = _serve  # noqa: N815 - the names http.server calls

    def _of(self, path, query, body):
        fake = self.server.fake
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise RefusedError(401, "Unauthorized")
        if logs := re.fullmatch(r"/device/v2/(\w+)/logs", path):
            if logs[1] not in fake.lines:
                raise RefusedError(404, "No device found")
            return fake.lines[logs[1]][-int(query.get("count", 1_000)) :]
        asked = re.fullmatch(r"/v7/(\w+)(?:\((?:(\w+)='((?:[^']|'')*)'|(\d+))\))?", path)
        if asked is None or asked[1] not in fake.tables or asked[2] not in (None, KEYS[asked[1]]):
            raise RefusedError(404, "Not Found")
        key = int(asked[4]) if asked[4] else asked[3] and asked[3].replace("''", "'")
        if self.command == "GET":
            return fake.get(asked[1], key, query)
        if self.command != "PATCH":
            raise RefusedError(405, "Method Not Allowed")
        fake.patch(asked[1], key, body)
        return "OK"

    def _fault(self, status=200, headers=(), body="", stall=None):
        if stall is not None:
            stall.wait(10)
        self._answer(status, body, dict(headers))

    def _answer(self, status, text, headers=None):
        content = text.encode()
        try:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        except OSError:
            self.close_connection = True


@contextmanager
def serving(port=0):
    """Yield a FakeBalena that answers on loopback."""
    fake = FakeBalena()
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    server.fake, fake.url = fake, f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8900)
    with serving(parser.parse_args().port) as running:
        print(running.url, flush=True)  # noqa: T201 - the caller reads the address from here
        threading.Event().wait()
