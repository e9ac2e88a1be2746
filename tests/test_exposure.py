"""A controller that others reach: with a token and over TLS, or not at all."""

import asyncio
import contextlib
import os
import socket
import ssl
import stat
import subprocess
import sys

import httpx
import pytest
import pytest_asyncio

from broker.errors import InvalidError, UnreachableError
from controller.access.doorway import known_tokens
from controller.access.tokens import Tokens
from controller.api.app import create
from controller.api.file_response import CHUNK_BYTES
from controller.api.zero_copy import zero_copy
from controller.client import Client
from controller.security.folder import Security
from controller.serving import Server, check_exposure, configured, listening
from controller.settings import Settings, load
from controller.storage.store import Store
from tests.controlling import controller
from tests.fleet.brokers import free_port
from tests.fleet.secured import make_security

LOOP = pytest.mark.asyncio(loop_scope="module")
CONTENT = os.urandom(3 * CHUNK_BYTES + 17)
T0 = 1_800_000_000.0


@pytest.fixture(scope="module")
def security(tmp_path_factory):
    """The certificates that `edgewatt init` makes."""
    return make_security(tmp_path_factory.mktemp("fleet")).security


@pytest.fixture
def tokens():
    store = Store(None)
    yield Tokens(store)
    store.close()


def with_tls(security):
    return {"tls_cert_file": str(security.server), "tls_key_file": str(security.server_key)}


def test_on_this_machine_nothing_is_asked_for(tokens):
    for host in ("127.0.0.1", "localhost", "::1", "127.0.0.9"):
        check_exposure(Settings(host=host), tokens)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "", "127.example.org"])
def test_without_a_token_nobody_else_may_reach_it(tokens, security, host):
    for more in ({}, with_tls(security), {"behind_proxy": True}):
        with pytest.raises(InvalidError, match="no token") as refused:
            check_exposure(Settings(host=host, **more), tokens)
        assert "edgewatt init" in refused.value.hint


def test_without_tls_only_behind_a_proxy(tokens, security):
    tokens.create("ada", "admin", T0)

    with pytest.raises(InvalidError, match="no TLS") as refused:
        check_exposure(Settings(host="0.0.0.0"), tokens)
    assert "--behind-proxy" in refused.value.hint
    check_exposure(Settings(host="0.0.0.0", behind_proxy=True), tokens)
    check_exposure(Settings(host="0.0.0.0", **with_tls(security)), tokens)


def test_a_proxy_on_this_machine_is_others_too(tokens):
    with pytest.raises(InvalidError, match="a proxy"):
        check_exposure(Settings(behind_proxy=True), tokens)


def test_a_certificate_that_cannot_be_used_is_said_at_once(tokens, security, tmp_path):
    tokens.create("ada", "admin", T0)
    junk = tmp_path / "junk.pem"
    junk.write_text("junk")
    for cert, key in ((junk, junk), (security.server, security.ca_key), (tmp_path / "none.pem", security.server_key)):
        with pytest.raises(InvalidError, match="cannot use"):
            check_exposure(Settings(tls_cert_file=str(cert), tls_key_file=str(key)), tokens)
    with pytest.raises(InvalidError, match="tls_key_file is missing"):
        Settings(tls_cert_file="a.pem")


def test_what_init_made_is_used_where_others_reach_it(security):
    data = security.root.parent

    open_to_all = load({"data": data, "host": "0.0.0.0"}, {})
    assert (open_to_all.tls_cert_file, open_to_all.base_url[:8]) == (str(security.server), "https://")
    assert load({"data": data}, {}).tls_cert_file == ""
    assert load({"data": data, "host": "0.0.0.0", "behind_proxy": True}, {}).tls_cert_file == ""


def test_a_controller_in_a_container_makes_its_first_token_itself_and_no_second(tmp_path):
    store, security = Store(None), Security(tmp_path / "security")
    tokens = known_tokens(security, store, T0, make=True)
    secret = security.admin_token.read_text().strip()

    assert tokens.who(secret, T0).name == "admin"
    assert stat.S_IMODE(security.admin_token.stat().st_mode) == 0o600
    security.admin_token.unlink()
    known_tokens(security, store, T0, make=True)
    assert not security.admin_token.exists()
    known_tokens(Security(tmp_path / "other"), Store(None), T0)
    assert not (tmp_path / "other").exists()
    store.close()


def test_yes_and_no_are_understood_and_nothing_else():
    assert load({}, {"EDGEWATT_BEHIND_PROXY": "true"}).behind_proxy
    assert not load({}, {"EDGEWATT_BEHIND_PROXY": "0"}).behind_proxy
    with pytest.raises(InvalidError, match="neither true nor false"):
        load({}, {"EDGEWATT_BEHIND_PROXY": "perhaps"})


def test_a_controller_that_everybody_would_reach_says_so_and_ends(tmp_path):
    words = ("--host", "0.0.0.0", "--port", str(free_port()), "--data", tmp_path)
    ended = subprocess.run([sys.executable, "-m", "controller", *words], check=False, capture_output=True, text=True)

    assert ended.returncode == 1
    assert "there is no token yet" in ended.stderr
    assert "edgewatt init" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory):
    async with controller(tmp_path_factory.mktemp("exposed")) as made:
        made.held = made.parts.service.artifacts.add(CONTENT, model="blob", format="tflite")
        made.secret = made.parts.door.tokens.create("ada", "admin", T0)
        yield made


@contextlib.asynccontextmanager
async def served(running, **settings):
    """What the controller's own process serves, behind a real socket; gives the port."""
    port = free_port()
    server = Server(configured(zero_copy(create(running.parts)), Settings(port=port, **settings)))
    with listening("127.0.0.1", port) as door:
        serving = asyncio.create_task(server.serve([door]))
        try:
            yield port
        finally:
            server.stop()
            await serving


def test_what_is_said_to_a_client_is_sent_at_once():
    with (
        listening("127.0.0.1", port := free_port()) as door,
        socket.create_connection(("127.0.0.1", port)),
        door.accept()[0] as client,
    ):
        assert client.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@LOOP
async def test_files_come_whole_and_in_ranges_over_tls(running, security):
    path, signed = f"/models/sha256/{running.held.sha256}", {"Authorization": f"Bearer {running.secret}"}
    trusting = ssl.create_default_context(cafile=security.ca)
    async with (
        served(running, **with_tls(security)) as port,
        httpx.AsyncClient(base_url=f"https://localhost:{port}", verify=trusting, headers=signed) as http,
    ):
        whole = await http.get(path)
        part = await http.get(path, headers={"Range": f"bytes={CHUNK_BYTES - 5}-"})
        several = await asyncio.gather(*(http.get(path) for _ in range(4)))

    assert whole.content == CONTENT
    assert (part.status_code, part.content) == (206, CONTENT[CHUNK_BYTES - 5 :])
    assert all(each.content == CONTENT for each in several)


@LOOP
async def test_the_client_trusts_the_authority_that_it_is_told(running, security):
    def ask(ca_file):
        with Client(url, token=running.secret, ca_file=ca_file) as client:
            return client.whoami()["name"]

    async with served(running, **with_tls(security)) as port:
        url = f"https://localhost:{port}"
        assert await asyncio.to_thread(ask, str(security.ca)) == "ada"
        with pytest.raises(UnreachableError):
            await asyncio.to_thread(ask, "")
        with pytest.raises(InvalidError, match="cannot read the certificates"):
            await asyncio.to_thread(ask, str(security.server_key))


@LOOP
@pytest.mark.parametrize(("behind_proxy", "seen"), [(True, "203.0.113.9"), (False, "127.0.0.1")])
async def test_whom_a_proxy_speaks_for_is_believed_only_where_there_is_one(running, behind_proxy, seen):
    said = {"X-Forwarded-For": "198.51.100.1, 203.0.113.9", "Authorization": "Bearer wrong"}
    allowance = running.parts.door.allowance
    allowance._left.clear()
    async with (
        served(running, behind_proxy=behind_proxy) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http,
    ):
        assert (await http.get("/api/status", headers=said)).status_code == 401

    assert list(allowance._left) == [("failed_sign_ins", seen)]
