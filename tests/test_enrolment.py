"""Devices are let in and shut out: bundles, one-time tokens, and how the broker is told."""

import asyncio
import http.server
import io
import json
import os
import ssl
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

import pytest

from broker.errors import ConflictError, EdgeWattError, InvalidError, LinkError
from broker.passwords import changing, matches, read_users
from controller.enrolment import bundle
from controller.enrolment.enrolling import Enrolling, broker_for_devices
from controller.enrolment.invitations import LONGEST_S, Invitations
from controller.enrolment.reloading import Reload
from controller.security.folder import Security
from controller.storage.store import Store
from edge_agent.enroll import enroll
from edge_agent.program import main
from edge_agent.settings import load
from tests.controlling import controller
from tests.fleet.secured import make_security

T0, HOUR_S = 1_800_000_000.0, 3_600.0
AGENT_FILES = ["agent.toml", "ca.pem", "password"]


@pytest.fixture
def security(tmp_path):
    return make_security(tmp_path / "data").security


@pytest.fixture
def enrolling(security):
    store = Store(None)
    yield Enrolling(store=store, security=security, broker="mqtts://broker.example:8883")
    store.close()


def said(enrolling):
    return [event["text"] for event in enrolling.store.events() if event["kind"] == "access"]


def test_a_bundle_is_all_that_an_agent_needs(enrolling, security, tmp_path):
    files = enrolling.enroll("pi5-1", T0, who="ana")
    with tarfile.open(fileobj=io.BytesIO(bundle.as_tar(files, T0))) as archive:
        assert {entry.name: entry.mode for entry in archive} == dict.fromkeys(AGENT_FILES, 0o600)
        archive.extractall(tmp_path, filter="data")

    settings = load({}, {}, tmp_path / "agent.toml")

    assert (settings.id, settings.broker) == ("pi5-1", "mqtts://broker.example:8883")
    assert settings.credentials.username == "pi5-1"
    assert matches(settings.credentials.password, read_users(security.passwords)["pi5-1"])
    assert settings.credentials.context()
    assert settings.verify_key == security.verify_key.read_text().strip()
    assert said(enrolling) == ["pi5-1 was enrolled"]


def test_a_device_is_not_locked_out_by_enrolling_it_again_without_a_word(enrolling, security):
    enrolling.enroll("pi5-1", T0, who="ana")
    before = read_users(security.passwords)

    for again in (lambda: enrolling.enroll("pi5-1", T0, who="ana"), lambda: invite(enrolling, "pi5-1")):
        with pytest.raises(ConflictError) as refused:
            again()
        assert refused.value.code == "already_enrolled"
    assert read_users(security.passwords) == before
    enrolling.enroll("pi5-1", T0, who="ana", replace=True)
    assert read_users(security.passwords) != before


@pytest.mark.parametrize("device_id", ["operator", "controller", "A b", "x:y", "a\nb", "+", ""])
def test_nobody_gets_an_id_that_is_another_users_or_none(enrolling, security, device_id):
    before = security.passwords.read_bytes()

    for deed in (enrolling.enroll, enrolling.revoke):
        with pytest.raises(EdgeWattError) as refused:
            deed(device_id, T0, who="ana")
        assert refused.value.hint
    assert security.passwords.read_bytes() == before


def invite(enrolling, device_id="pi5-1", at=T0, holds_s=HOUR_S):
    return enrolling.invite(device_id, at, holds_s=holds_s, who="ana").token


def test_a_token_works_once_within_its_time_and_only_its_hash_is_kept(enrolling, security):
    token = invite(enrolling)

    device_id, files = enrolling.accept(token, T0 + HOUR_S - 1)

    assert device_id == "pi5-1"
    assert matches(files["password"].strip(), read_users(security.passwords)["pi5-1"])
    assert token.split(".")[2] not in json.dumps(enrolling.store.query("SELECT * FROM enrolment_tokens"))
    with pytest.raises(InvalidError, match="used already"):
        enrolling.accept(token, T0 + HOUR_S)
    late = invite(enrolling, "pi5-2")
    with pytest.raises(InvalidError, match="expired"):
        enrolling.accept(late, T0 + HOUR_S)
    assert "pi5-2" not in read_users(security.passwords)


def test_a_guess_another_secret_and_a_withdrawn_token_are_refused(enrolling):
    token, other = invite(enrolling), invite(enrolling, "pi5-2")
    parts, others = token.split("."), other.split(".")

    for wrong in ("", "ewe", token[:-1], ".".join([parts[0], parts[1], others[2], parts[3]]), token.upper()):
        with pytest.raises(InvalidError) as refused:
            enrolling.accept(wrong, T0)
        assert refused.value.code == "bad_enrolment"
    newer = invite(enrolling)
    with pytest.raises(InvalidError, match="withdrawn"):
        enrolling.accept(token, T0)
    assert enrolling.accept(newer, T0)[0] == "pi5-1"
    for holds_s in (0, LONGEST_S + 1):
        with pytest.raises(InvalidError, match="from a minute to 30 days"):
            invite(enrolling, "pi5-9", holds_s=holds_s)


def test_who_is_revoked_has_no_user_no_token_and_is_in_the_stream(enrolling, security):
    enrolling.enroll("pi5-1", T0, who="ana")
    with enrolling.store.transaction():
        token = Invitations(enrolling.store).make("pi5-1", "0" * 64, T0, holds_s=HOUR_S, who="ana").token

    assert enrolling.revoke("pi5-1", T0, who="ana")
    assert not enrolling.revoke("pi5-1", T0, who="ana")

    assert "pi5-1" not in read_users(security.passwords)
    with pytest.raises(InvalidError, match="withdrawn"):
        enrolling.accept(token, T0)
    assert said(enrolling).count("pi5-1 was revoked: its credentials are void") == 1


def test_what_cannot_be_written_leaves_token_and_users_as_they_were(enrolling, monkeypatch):
    token = invite(enrolling)
    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(EdgeWattError, match="No space left"):
        enrolling.accept(token, T0)
    monkeypatch.undo()

    assert enrolling.accept(token, T0)[0] == "pi5-1"


def full(_):
    raise OSError(28, "No space left on device")


def test_two_who_change_the_users_at_the_same_time_lose_nothing(security):
    def add(name):
        with changing(security.passwords) as users:
            users[name] = "x"

    threads = [threading.Thread(target=add, args=(f"pi5-{n}",)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert {f"pi5-{n}" for n in range(20)} <= set(read_users(security.passwords))


@pytest.mark.parametrize(
    ("broker", "artifacts", "found"),
    [
        ("mqtts://localhost:8883", "192.168.1.10", "mqtts://192.168.1.10:8883"),
        ("mqtts://127.0.0.1:9", "127.0.0.1", "mqtts://10.0.0.7:9"),
        ("mqtts://b.example:8883", "192.168.1.10", "mqtts://b.example:8883"),
        ("mqtts://localhost:8883", "fe80::1", "mqtts://[fe80::1]:8883"),
    ],
)
def test_devices_are_told_an_address_that_they_can_reach(broker, artifacts, found):
    assert broker_for_devices(broker, artifacts, lambda: "10.0.0.7") == found
    assert broker_for_devices("mqtt://localhost:1", "localhost", lambda: "127.0.0.1") == "mqtt://localhost:1"


def started(code, *words):
    return subprocess.Popen([sys.executable, "-c", code, *words], stdout=subprocess.PIPE, stdin=subprocess.PIPE)


async def test_the_broker_is_told_by_a_command_or_a_signal_and_what_fails_is_said(tmp_path):
    broker = (
        "import signal, sys; signal.signal(signal.SIGHUP, lambda *_: sys.exit(7)); print(1, flush=True); signal.pause()"
    )
    process = await asyncio.to_thread(started, broker, "mosquitto")
    stranger = await asyncio.to_thread(started, "print(1, flush=True); input()")
    with process, stranger:
        assert await asyncio.to_thread(process.stdout.readline)
        for name, pid in (("broker", process.pid), ("stranger", stranger.pid), ("gone", 2**22 + 1)):
            (tmp_path / f"{name}.pid").write_text(f"{pid}\n")

        assert (await Reload(str(tmp_path / "broker.pid"))()).done
        assert process.wait(20) == 7
        for how in ("", str(tmp_path / "gone.pid"), str(tmp_path / "none.pid"), str(tmp_path / "stranger.pid")):
            told = await Reload(how)()
            assert (told.done, bool(told.says), bool(told.run)) == (False, True, True)
        assert stranger.poll() is None
        stranger.communicate(b"\n", timeout=20)
    assert (await Reload(f"{sys.executable} -c pass")()).done
    failing = await Reload(f"{sys.executable} -c 'import sys; sys.exit(\"no rights\")'")()
    assert not failing.done
    assert "no rights" in failing.says
    assert not (await Reload("/no/such/command")()).done


async def test_rest_enrolls_invites_accepts_and_revokes_and_keeps_no_secret(tmp_path, security):
    async with controller(tmp_path / "controller", security=security.root, devices_broker="mqtts://b:8883") as running:
        key, nobody = {"Idempotency-Key": "k"}, {"Authorization": ""}
        refused = await running.http.post("/api/devices/pi5-1/enroll", json={})
        running.http.headers["Authorization"] = f"Bearer {security.admin_token.read_text().strip()}"
        first = await running.http.post("/api/devices/pi5-1/enroll", json={}, headers=key)
        token = (await running.post("/api/devices/pi5-2/enroll", token=True)).json()["token"]
        ca = (await running.http.get("/api/enroll/ca", headers=nobody)).json()["ca"]
        accepted = (await running.http.post("/api/enroll", json={"token": token}, headers=nobody)).json()
        again = await running.http.post("/api/enroll", json={"token": token}, headers=nobody)
        revoked = [(await running.post("/api/devices/pi5-1/revoke")).json() for _ in range(2)]
        kept = json.dumps([str(row) for row in running.parts.service.store.query("SELECT * FROM answers")])

    files = first.json()["files"]
    assert refused.status_code == 401
    assert first.headers["Cache-Control"] == "no-store"
    assert 'broker = "mqtts://b:8883"' in files["agent.toml"]
    assert ca == security.ca.read_text()
    assert (accepted["device_id"], sorted(accepted["files"])) == ("pi5-2", AGENT_FILES)
    assert (again.status_code, again.json()["code"]) == (403, "bad_enrolment")
    assert [each["was_enrolled"] for each in revoked] == [True, False]
    assert revoked[0]["broker"]["run"]
    assert files["password"].strip() not in kept


async def test_a_controller_without_a_security_folder_says_how_to_get_one(tmp_path):
    async with controller(tmp_path) as running:
        answer = await running.post("/api/devices/pi5-1/enroll")

    assert (answer.status_code, answer.json()["code"]) == (409, "no_security")
    assert "edgewatt init" in answer.json()["hint"]


class Fake(http.server.BaseHTTPRequestHandler):
    """A controller that only enrolls, over TLS; it remembers what it was told."""

    def do_GET(self):
        self.reply(200, {"ca": self.server.shows})

    def do_POST(self):
        told = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.told.append(told)
        self.reply(self.server.status, self.server.answers)

    def reply(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def serves():
    """Start fake controllers with the certificate of a folder, and end them after the test."""
    running = []

    def start(folder, shows, answers=None, status=200):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Fake)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder.server, folder.server_key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.shows, server.told, server.status = shows.ca.read_text(), [], status
        server.answers = answers or {"device_id": "pi5-1", "files": dict.fromkeys(AGENT_FILES, "x")}
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        running.append(server)
        return server

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


def url(server):
    return f"https://localhost:{server.server_address[1]}"


def test_an_agent_gives_its_token_to_the_right_controller_and_keeps_what_comes(enrolling, security, serves, tmp_path):
    token, folder = invite(enrolling), tmp_path / "device"
    server = serves(security, security)

    assert enroll(url(server), token, folder) == "pi5-1"

    assert sorted(path.name for path in folder.iterdir()) == AGENT_FILES
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    with pytest.raises(ConflictError, match="enrolled already"):
        enroll(url(server), token, folder)
    assert enroll(url(server), token, folder, replace=True) == "pi5-1"
    assert len(server.told) == 2


def test_an_agent_tells_nobody_else_its_token(enrolling, security, serves, tmp_path):
    token, stranger = invite(enrolling), make_security(tmp_path / "stranger").security
    between, copycat = serves(stranger, stranger), serves(stranger, security)

    with pytest.raises(LinkError, match="not the controller that made this token"):
        enroll(url(between), token, tmp_path / "a")
    with pytest.raises(LinkError, match="cannot ask"):
        enroll(url(copycat), token, tmp_path / "a")
    for address in ("http://192.0.2.1:5000", "ftp://x", "controller"):
        with pytest.raises(InvalidError, match="no address to enroll at"):
            enroll(address, token, tmp_path / "a")
    with pytest.raises(InvalidError, match="no enrolment token"):
        enroll(url(between), "ewe.x", tmp_path / "a")
    assert between.told + copycat.told == []
    assert not list(tmp_path.glob("a/*"))


@pytest.mark.parametrize(
    "case",
    [
        (403, {"error": "the enrolment token has expired", "hint": "ask"}, "has expired"),
        (502, {"x": 1}, "answers 502"),
        (307, {"x": 1}, "answers 307"),
        (200, {"files": {"agent.toml": "x"}}, "does not answer as a controller does"),
    ],
)
def test_what_the_controller_refuses_is_said(enrolling, security, serves, tmp_path, case):
    status, answer, says = case
    server = serves(security, security, answer, status)

    with pytest.raises(EdgeWattError, match=says):
        enroll(url(server), invite(enrolling), tmp_path / "device")
    assert not (tmp_path / "device" / "agent.toml").exists()


def test_the_command_takes_the_token_from_a_file_and_prints_no_secret(enrolling, security, serves, tmp_path, capsys):
    token, server = invite(enrolling), serves(security, security)
    file = tmp_path / "token"
    file.write_text(token + "\n")

    with pytest.raises(SystemExit) as ended:
        main(["enroll", "--controller", url(server), "--token-file", str(file), "--into", str(tmp_path / "d")])

    out, err = capsys.readouterr()
    assert ended.value.code == 0
    assert "agent.toml" in out
    assert token not in out + err
    assert Security(Path("/nowhere")).made is False
