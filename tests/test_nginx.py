"""Debian's nginx with the configuration that is shipped, before a real controller: TLS, files, websockets, limits."""

import asyncio
import contextlib
import json
import shutil
import ssl
import subprocess
from pathlib import Path

import httpx
import pytest
import websockets
from websockets.datastructures import Headers
from websockets.http11 import Response

from controller.cli.app import run
from controller.cli.readiness import wait_until
from tests.fleet.brokers import MOSQUITTO, RunningBroker, free_port
from tests.fleet.controllers import RunningController

ROOT = Path(__file__).parent.parent
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin")
pytestmark = pytest.mark.skipif(
    NGINX is None or MOSQUITTO is None, reason="nginx or mosquitto is not installed: apt-get install nginx mosquitto"
)


class Front:
    """A running nginx; `log` is what it said of requests."""

    def __init__(self, folder, security, controller_port, dashboard_port):
        self.port, self.plain_port, self.folder = free_port(), free_port(), folder
        self.dashboard_port, self.process = dashboard_port, None
        self.url = f"https://localhost:{self.port}"
        self.ca = str(security / "ca.pem")
        conf = folder / "edgewatt"
        conf.mkdir(parents=True)
        place = (ROOT / "deploy/nginx/place.conf").read_text()
        place = place.replace("127.0.0.1:5000", f"127.0.0.1:{controller_port}")
        (conf / "place.conf").write_text(place.replace("127.0.0.1:8501", f"127.0.0.1:{dashboard_port}"))
        log = (ROOT / "deploy/nginx/log.conf").read_text()
        (conf / "log.conf").write_text(log.replace("/var/log/nginx/edgewatt.log", str(folder / "access.log")))
        (folder / "mime.types").write_text("types { text/html html; }")
        text = (ROOT / "deploy/nginx/edgewatt.conf").read_text()
        for ours, here in {
            "listen 80 ": f"listen 127.0.0.1:{self.plain_port} ",
            "listen 443 ": f"listen 127.0.0.1:{self.port} ",
            "/var/lib/edgewatt/security": str(security),
            "/var/cache/nginx/edgewatt": str(folder / "cache"),
            "slice 4m": "slice 1k",
        }.items():
            assert ours in text
            text = text.replace(ours, here)
        (conf / "edgewatt.conf").write_text(text)
        main = (ROOT / "docker/nginx/nginx.conf").read_text()
        main = main.replace("/tmp/", f"{folder}/").replace("/dev/stderr", str(folder / "error.log"))
        (folder / "nginx.conf").write_text(f"daemon off;\nuser root;\n{main}" if folder.owner() == "root" else main)

    def start(self):
        argv = [NGINX, "-p", str(self.folder), "-c", str(self.folder / "nginx.conf")]
        with (self.folder / "stderr").open("wb") as said:
            self.process = subprocess.Popen(argv, stdout=said, stderr=said)
        if not wait_until(self._answers, within_s=20, alive=lambda: self.process.poll() is None):
            raise AssertionError((self.folder / "stderr").read_text())

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=20)

    @property
    def log(self):
        return (self.folder / "access.log").read_text().splitlines()

    def client(self, **more):
        return httpx.Client(base_url=self.url, verify=self.tls, trust_env=False, timeout=20, **more)

    @property
    def tls(self):
        return ssl.create_default_context(cafile=self.ca)

    def _answers(self):
        try:
            with self.client() as http:
                return http.get("/livez").status_code == 200
        except httpx.HTTPError:
            return False


async def dashboard_stand_in(port, until):
    """What the dashboard is to nginx: pages and a websocket; it tells which headers came."""

    def page(_connection, request):
        if request.path.startswith("/_stcore/stream"):
            return None
        body = json.dumps(dict(request.headers.raw_items())).encode()
        return Response(200, "OK", Headers([("Content-Length", str(len(body)))]), body)

    async def echo(socket):
        async for message in socket:
            await socket.send(message)

    async with websockets.serve(echo, "127.0.0.1", port, process_request=page):
        await until.wait()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A broker, a controller that stands behind a proxy, the proxy, and a token for it."""
    folder = tmp_path_factory.mktemp("nginx")
    security = folder / "controller/security"
    assert run(["init", "--data", str(folder / "controller"), "--broker-user", folder.owner(), "--json"]) == 0
    with contextlib.ExitStack() as ends:
        broker = RunningBroker("mosquitto", folder)
        ends.callback(broker.kill)
        controller = RunningController(broker.url, folder / "controller", arguments=("--behind-proxy",))
        ends.callback(controller.kill)
        front = Front(folder / "front", security, controller.port, free_port())
        ends.callback(front.stop)
        front.start()
        front.token = (security / "admin.token").read_text().strip()
        with signed_in(front) as http:
            model = http.get("/models/digits_cnn_l")
        front.content, front.digest = model.content, model.headers["X-Checksum-SHA256"]
        yield front


def signed_in(front):
    return front.client(headers={"Authorization": f"Bearer {front.token}"})


def test_plain_http_is_led_to_tls_and_the_certificate_is_the_fleets(place):
    plain = httpx.get(f"http://localhost:{place.plain_port}/api/devices?x=1", trust_env=False)

    assert (plain.status_code, plain.headers["Location"]) == (301, "https://localhost/api/devices?x=1")
    with place.client() as http:
        assert http.get("/readyz").status_code == 200
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(place.url, trust_env=False)


def test_every_answer_has_the_headers_that_browsers_keep_to(place):
    with place.client() as http:
        for path in ("/livez", "/api/devices", "/nothing"):
            headers = http.get(path).headers
            assert headers["Strict-Transport-Security"] == "max-age=31536000"
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["X-Frame-Options"] == "SAMEORIGIN"
            assert "nginx/" not in headers.get("Server", "")


def test_rest_asks_who_it_is_and_answers_who_signs_in(place):
    with place.client() as http:
        assert http.get("/api/devices").status_code == 401
    with signed_in(place) as http:
        assert http.get("/api/devices").json()["devices"] == []


def test_a_file_is_fetched_from_the_controller_once_and_whoever_may_not_gets_none_of_it(place):
    content = place.content
    path = f"/models/sha256/{place.digest}"
    with signed_in(place) as http:
        first, again = http.get(path), http.get(path)
        part = http.get(path, headers={"Range": "bytes=1000-2999"})
    with place.client() as http:
        refused = http.get(path)

    assert first.content == again.content == content
    assert first.headers["X-Checksum-SHA256"] == place.digest
    assert (part.status_code, part.content) == (206, content[1000:3000])
    assert part.headers["Content-Range"] == f"bytes 1000-2999/{len(content)}"
    assert refused.status_code == 401
    assert refused.json()["hint"]
    used = [line.rpartition("cache=")[2] for line in place.log if path in line and '" 20' in line]
    assert used[-2:] == ["HIT", "HIT"]


def test_a_file_that_is_not_there_is_missed_in_the_controllers_words(place):
    with signed_in(place) as http:
        missing = http.get(f"/models/sha256/{'0' * 64}")

    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")


def test_what_follows_the_question_mark_is_not_written_down(place):
    with place.client() as http:
        http.get(f"/models/sha256/{place.digest}", params={"sig": "a-secret"})

    assert not [line for line in place.log if "a-secret" in line]
    assert [line for line in place.log if place.digest in line]


def test_a_body_beyond_its_limit_is_refused_before_the_controller_sees_it(place):
    with signed_in(place) as http:
        large = http.post("/api/deploy", content=b"x" * 3_000_000)
        model = http.put("/api/models/analyze/large.onnx", content=b"x" * 3_000_000)

    assert large.status_code == 413
    assert model.status_code in (400, 422)
    assert model.json()["success"] is False


async def test_telemetry_and_the_dashboard_keep_a_websocket_open(place):
    over = asyncio.Event()
    standing_in = asyncio.create_task(dashboard_stand_in(place.dashboard_port, over))
    headers = {"Authorization": f"Bearer {place.token}"}
    live = f"wss://localhost:{place.port}/ws/telemetry"
    async with asyncio.timeout(20):
        async with websockets.connect(live, ssl=place.tls, additional_headers=headers, proxy=None) as socket:
            await (await socket.ping())
        with pytest.raises(websockets.InvalidStatus, match="401"):
            async with websockets.connect(live, ssl=place.tls, additional_headers={"Authorization": "Bearer no"}):
                pass
        page = f"wss://localhost:{place.port}/_stcore/stream"
        async with websockets.connect(page, ssl=place.tls, proxy=None) as socket:
            await socket.send("hello")
            assert await socket.recv() == "hello"
        async with httpx.AsyncClient(verify=place.tls, trust_env=False) as http:
            claims = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "http"}
            came = {name.lower(): value for name, value in (await http.get(place.url, headers=claims)).json().items()}
    over.set()
    await standing_in

    assert (came["x-forwarded-for"], came["x-forwarded-proto"]) == ("127.0.0.1", "https")
    assert came["host"] == f"localhost:{place.port}"
