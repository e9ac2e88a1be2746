"""Who may use REST: nobody has to sign in before there is a token, then everybody has to, and roles hold."""

import asyncio
import json

import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from controller.access.allowance import Allowance
from controller.access.roles import Role
from controller.access.rules import RULES
from controller.api import live
from controller.api.exact import MOST_BYTES
from tests.controlling import WITHIN_S, controller, served

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMITS = {"writes": 600, "predictions": 1_200, "failed_sign_ins": 20}
NAME_OF = {Role.VIEWER: "vera", Role.OPERATOR: "otto", Role.ADMIN: "ada"}
UNDER = {Role.VIEWER: None, Role.OPERATOR: Role.VIEWER, Role.ADMIN: Role.OPERATOR}


class Clock:
    def __init__(self):
        self.now = 1_800_000_000.0

    def __call__(self):
        return self.now


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def whole(tmp_path_factory):
    """One controller for the module, since each takes its time to begin."""
    clock = Clock()
    async with controller(tmp_path_factory.mktemp("access"), clock=clock) as made:
        made.clock, made.door, made.tokens = clock, made.parts.door, made.parts.door.tokens
        yield made


@pytest.fixture
def open_one(whole):
    """It, before there is a token."""
    for token in whole.tokens.list():
        whole.tokens.revoke(token.name, whole.clock())
    whole.door.failed = 0
    whole.door.allowance = Allowance(per_min=LIMITS)
    return whole


@pytest.fixture
def running(open_one):
    """It, with a token of each role."""
    open_one.secret = {role: open_one.tokens.create(NAME_OF[role], role, open_one.clock()) for role in Role}
    return open_one


def bearer(secret):
    return {"Authorization": f"Bearer {secret}"}


async def ask(running, method, path, role=None, headers=None, **more):
    signed = bearer(running.secret[role]) if role else {}
    return await running.http.request(method, path, headers=signed | (headers or {}), **more)


async def test_each_path_is_closed_below_its_role_and_open_from_it_on(running):
    running.parts.door.allowance.per_min = dict.fromkeys(running.parts.door.allowance.per_min, 1_000)
    for (method, template), role in RULES.items():
        path = template.replace("{deed}", "dance").replace("{", "no-").replace("}", "")
        if method == "WS":
            continue
        stranger = await ask(running, method, path)
        if role is None:
            assert stranger.status_code not in (401, 403), template
            continue
        assert (stranger.status_code, stranger.json()["code"]) == (401, "not_signed_in"), template
        assert stranger.headers["www-authenticate"] == "Bearer"
        assert stranger.json()["hint"]
        if UNDER[role]:
            below = await ask(running, method, path, UNDER[role])
            assert (below.status_code, below.json()["code"]) == (403, "not_allowed"), template
        if not template.startswith("/api/models/verify"):
            allowed = await ask(running, method, path, role, json={"device_id": "nobody"})
            assert allowed.status_code not in (401, 403), template


async def test_before_there_is_a_token_everybody_here_is_admin(open_one):
    who = await open_one.get("/api/whoami")
    assert (who["signed_in"], who["role"], who["access_required"]) == (False, "admin", False)
    assert (await open_one.http.get("/api/status")).status_code == 200

    first = await open_one.post("/api/tokens", name="vera", role="viewer")
    assert (first.status_code, first.json()["code"]) == (409, "no_admin")
    made = (await open_one.post("/api/tokens", name="ada", role="admin")).json()

    assert (await open_one.http.get("/api/status")).status_code == 401
    who = (await open_one.http.get("/api/whoami", headers=bearer(made["secret"]))).json()
    assert (who["name"], who["role"], who["signed_in"], who["access_required"]) == ("ada", "admin", True, True)


async def test_a_token_in_the_address_opens_nothing(running):
    secret = running.secret[Role.ADMIN]
    for query in (f"token={secret}", f"access_token={secret}", f"Authorization=Bearer%20{secret}"):
        assert (await ask(running, "GET", f"/api/status?{query}")).status_code == 401


async def test_a_header_that_is_none_of_ours_opens_nothing(running):
    secret = running.secret[Role.ADMIN]
    for value in (secret, f"Basic {secret}", f"Bearer{secret}", "Bearer", "Bearer ", f"Bearer {secret}x", "Bearer é"):
        answer = await ask(running, "GET", "/api/status", headers={"Authorization": value.encode("latin-1")})
        assert answer.status_code == 401
    assert (await ask(running, "GET", "/api/status", headers={"authorization": f"bearer {secret}"})).status_code == 200


async def test_an_admin_makes_and_revokes_tokens(running):
    made = await ask(
        running, "POST", "/api/tokens", Role.ADMIN, json={"name": "ci", "role": "operator", "expires": "1h"}
    )
    assert made.status_code == 201
    secret = made.json()["secret"]

    listed = (await ask(running, "GET", "/api/tokens", Role.ADMIN)).json()
    assert [each["name"] for each in listed["tokens"]] == ["ada", "ci", "otto", "vera"]
    assert "secret" not in json.dumps(listed).replace("secret_sha256", "secret")
    assert (await running.http.get("/api/status", headers=bearer(secret))).status_code == 200
    running.clock.now += 3_600
    assert (await running.http.get("/api/status", headers=bearer(secret))).status_code == 401

    assert (await ask(running, "DELETE", "/api/tokens/otto", Role.ADMIN)).status_code == 200
    assert (await ask(running, "GET", "/api/status", Role.OPERATOR)).status_code == 401
    assert (await ask(running, "DELETE", "/api/tokens/nobody", Role.ADMIN)).status_code == 404
    last = await ask(running, "DELETE", "/api/tokens/ada", Role.ADMIN)
    assert (last.status_code, last.json()["code"]) == (409, "last_admin")


@pytest.mark.parametrize(
    "body",
    [
        {"name": "ci"},
        {"name": "CI", "role": "viewer"},
        {"name": "ci", "role": "boss"},
        {"name": "ci", "role": "viewer", "expires": "soon"},
    ],
)
async def test_a_token_that_makes_no_sense_is_refused_in_words(running, body):
    refused = await ask(running, "POST", "/api/tokens", Role.ADMIN, json=body)

    assert (refused.status_code, refused.json()["code"]) == (422, "invalid")


async def test_a_secret_is_not_kept_with_the_answers_to_writes(running):
    body, key = {"name": "ci", "role": "viewer"}, {"Idempotency-Key": "once"}
    made = (await ask(running, "POST", "/api/tokens", Role.ADMIN, headers=key, json=body)).json()

    again = await ask(running, "POST", "/api/tokens", Role.ADMIN, headers=key, json=body)
    assert again.status_code == 409
    kept = "\n".join(running.parts.service.store.connection.iterdump())
    assert made["secret"].split("_", 2)[2] not in kept


async def test_the_events_say_who_did_it(running):
    async with running.joined():
        await ask(running, "POST", "/api/device/stop", Role.OPERATOR, json={"device_id": "pi5-1"})
        logs = (await ask(running, "GET", "/api/logs?type=command", Role.VIEWER)).json()["logs"]

    assert logs[0]["who"] == "otto"


async def test_the_answer_to_a_write_is_not_told_to_somebody_else(running):
    key = {"Idempotency-Key": "mine"}
    async with running.joined():
        body = {"device_id": "pi5-1"}
        first = await ask(running, "POST", "/api/device/stop", Role.OPERATOR, headers=key, json=body)
        other = await ask(running, "POST", "/api/device/stop", Role.ADMIN, headers=key, json=body)

    assert first.status_code == 202
    assert (other.status_code, other.json()["code"]) == (409, "key_reused")


async def test_a_dashboard_names_the_person_and_can_only_lower_the_role(running):
    secret = running.tokens.create("dashboard-1", "operator", running.clock(), act_as=True)

    async def who(**headers):
        return (await running.http.get("/api/whoami", headers=bearer(secret) | headers)).json()

    person = await who(**{"X-EdgeWatt-User": "ada@example.org", "X-EdgeWatt-Role": "viewer"})
    assert (person["name"], person["role"], person["via"]) == ("ada@example.org", "viewer", "dashboard-1")
    assert (await who(**{"X-EdgeWatt-User": "a", "X-EdgeWatt-Role": "admin"}))["role"] == "operator"
    assert (await who(**{"X-EdgeWatt-User": "a"}))["role"] == "operator"
    assert (await who())["name"] == "dashboard-1"
    assert (await who(**{"X-EdgeWatt-User": "a b"}))["code"] == "invalid"
    plain = await ask(running, "GET", "/api/whoami", Role.VIEWER, headers={"X-EdgeWatt-User": "root"})
    assert plain.json()["name"] == "vera"


async def test_who_guesses_is_slowed_down_and_who_knows_is_not(running):
    running.parts.door.allowance.per_min = {**running.parts.door.allowance.per_min, "failed_sign_ins": 3}
    wrong = bearer("ew_00000000_" + "A" * 43)
    codes = [(await running.http.get("/api/status", headers=wrong)).status_code for _ in range(5)]
    late = await running.http.get("/api/status", headers=wrong)

    assert codes == [401, 401, 401, 429, 429]
    assert (late.json()["code"], late.headers["retry-after"]) == ("too_many_requests", "20")
    status = (await ask(running, "GET", "/api/status", Role.VIEWER)).json()["access"]
    assert status == {
        "required": True,
        "failed_sign_ins": 6,
        "limited": {"writes": 0, "predictions": 0, "failed_sign_ins": 3},
    }
    metrics = (await ask(running, "GET", "/metrics", Role.VIEWER)).text
    assert 'edgewatt_requests_limited_total{what="failed_sign_ins"} 3.0' in metrics
    running.clock.now += 20
    assert (await running.http.get("/api/status", headers=wrong)).status_code == 401


async def test_failed_sign_ins_are_one_event_in_a_while(running):
    for _ in range(3):
        await running.http.get("/api/status", headers=bearer("ew_00000000_" + "A" * 43))
        running.clock.now += 1
    logs = (await ask(running, "GET", "/api/logs?type=access&q=failed", Role.VIEWER)).json()["logs"]

    assert len([each for each in logs if each["at"] >= running.clock.now - 4]) <= 1
    assert "127.0.0.1 failed" in logs[0]["text"]
    assert "AAAA" not in str(logs)


async def test_writes_are_limited_for_each_and_reads_are_not(running):
    running.parts.door.allowance.per_min = {"writes": 2, "predictions": 1, "failed_sign_ins": 3}
    body = {"device_id": "nobody"}
    codes = [(await ask(running, "POST", "/api/device/stop", Role.OPERATOR, json=body)).status_code for _ in range(3)]

    assert codes == [404, 404, 429]
    assert (await ask(running, "POST", "/api/device/stop", Role.ADMIN, json=body)).status_code == 404
    reads = [(await ask(running, "GET", "/api/devices", Role.OPERATOR)).status_code for _ in range(5)]
    assert reads == [200] * 5
    asks = [(await ask(running, "POST", "/api/predict-energy", Role.OPERATOR, json=[])).status_code for _ in range(2)]
    assert asks[1] == 429
    running.clock.now += 30
    assert (await ask(running, "POST", "/api/device/stop", Role.OPERATOR, json=body)).status_code == 404


async def test_who_is_not_signed_in_may_not_write_without_end_where_nobody_has_to_be(running):
    running.door.allowance = Allowance(per_min=LIMITS | {"writes": 2})
    codes = [(await ask(running, "POST", "/api/enroll", json={"token": "wrong"})).status_code for _ in range(3)]

    assert codes[2] == 429
    assert 429 not in codes[:2]


async def test_a_body_has_a_limit_whatever_it_is(running):
    large = b" " * (MOST_BYTES + 1)
    for kind in ("application/json", "text/plain", ""):
        headers = {"Content-Type": kind} if kind else {}
        for path in ("/api/devices/nobody/approve", "/api/predict-energy"):
            refused = await ask(running, "POST", path, Role.ADMIN, headers=headers, content=large)
            assert (refused.status_code, refused.json()["code"]) == (413, "too_large")
    unread = await ask(running, "POST", "/api/deploy", content=large)
    assert unread.status_code == 401


async def test_while_nobody_signs_in_a_name_that_may_be_anybodys_is_not_answered(open_one):
    answers = {
        host: (await open_one.http.get("/api/status", headers={"Host": host})).status_code
        for host in ("127.0.0.1:5000", "[::1]:5000", "localhost", "controller:5000", "a.localhost", "evil.example:5000")
    }
    assert [host for host, status in answers.items() if status != 200] == ["evil.example:5000"]
    refused = (await open_one.http.get("/api/status", headers={"Host": "evil.example:5000"})).json()
    assert (refused["code"], bool(refused["hint"])) == ("foreign_host", True)


async def test_a_page_of_another_site_cannot_write_with_our_browser(open_one):
    for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 404), ("none", 404)):
        headers = {"Sec-Fetch-Site": site}
        answer = await open_one.http.post("/api/devices/nobody/approve", headers=headers)
        assert answer.status_code == status
    assert (await open_one.http.get("/api/status", headers={"Sec-Fetch-Site": "cross-site"})).status_code == 200


@pytest_asyncio.fixture(loop_scope="module")
async def socketed(running, free_port):
    async with served(running, free_port) as url:
        running.ws = url.replace("http", "ws") + "/ws/telemetry"
        yield running


async def closed(reader):
    """Return with which code and words a websocket ends."""
    with pytest.raises(ConnectionClosed) as ended:
        async with asyncio.timeout(WITHIN_S):
            await reader.recv()
    return ended.value.rcvd.code, ended.value.rcvd.reason


async def test_telemetry_takes_a_token_by_header_or_as_the_first_message(socketed):
    secret = socketed.secret[Role.VIEWER]
    async with (
        socketed.joined() as device,
        connect(socketed.ws, additional_headers=bearer(secret)) as by_header,
        connect(f"{socketed.ws}?device_id=pi5-1") as by_word,
    ):
        await by_word.send(json.dumps({"token": secret}))
        await socketed.until(lambda: readers(socketed, 2))
        await device.sample(1)
        for reader in (by_header, by_word):
            async with asyncio.timeout(WITHIN_S):
                assert json.loads(await reader.recv())["device_id"] == "pi5-1"


async def readers(running, number):
    return running.parts.ingest.hearing.live.readers == number


async def test_telemetry_is_closed_to_who_says_nothing_or_something_wrong(socketed, monkeypatch):
    monkeypatch.setattr(live, "SAY_WHO_S", 0.05)
    secret = socketed.secret[Role.ADMIN]
    with pytest.raises(InvalidStatus) as refused:
        async with connect(socketed.ws, additional_headers=bearer("wrong")):
            pass
    assert refused.value.response.status_code == 401
    async with connect(f"{socketed.ws}?token={secret}") as silent:
        assert (await closed(silent))[0] == 4401
    for said in ("x", "[]", '{"token": "ew_1"}', b"\x00"):
        async with connect(socketed.ws) as reader:
            await reader.send(said)
            assert (await closed(reader))[0] == 4401
    async with connect(f"{socketed.ws}?device_id=nobody") as reader:
        await reader.send(json.dumps({"token": secret}))
        assert (await closed(reader))[0] == 4404


async def test_a_reader_whose_token_is_revoked_is_sent_away(socketed, monkeypatch):
    monkeypatch.setattr(live, "LOOK_EVERY_S", 0.02)
    async with connect(socketed.ws, additional_headers=bearer(socketed.secret[Role.VIEWER])) as reader:
        await socketed.until(lambda: readers(socketed, 1))
        socketed.tokens.revoke("vera", socketed.clock())
        assert (await closed(reader))[0] == 4401
