"""Whatever is asked, in the sense of the OpenAPI document or not: never a 500, and every error in the one form."""

import asyncio
import threading

import httpx
import pytest
import requests
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.openapi import from_dict

from controller.api.app import described
from controller.api.described import FAILURE, REQUESTS
from tests.controlling import controller

EXAMPLES = 3
KNOWN = {"device_id": "pi5-1", "name": "digits_cnn_s", "model": "digits_cnn_s", "device_type": "raspberry_pi_4"}
WITHIN_S = 30


class Fuzzed:
    """A controller in a loop of its own, with a device, asked from the test's thread."""

    def __init__(self, folder):
        self.folder, self.up, self.loop = folder, threading.Event(), asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_until_complete, args=(self._live(),))

    def __enter__(self):
        self._thread.start()
        assert self.up.wait(WITHIN_S)
        return self

    def __exit__(self, *error):
        self.loop.call_soon_threadsafe(self._over.set)
        self._thread.join()
        self.loop.close()

    async def _live(self):
        self._over = asyncio.Event()
        async with controller(self.folder) as running, running.joined(info={"ip": "192.168.1.100"}):
            transport = httpx.ASGITransport(running.http._transport.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://controller") as self.http:
                self.up.set()
                await self._over.wait()

    def ask(self, method, url, headers=None, content=None):
        asked = self.http.request(method, url, headers=headers, content=content, timeout=WITHIN_S)
        return asyncio.run_coroutine_threadsafe(asked, self.loop).result(WITHIN_S)

    def send(self, case):
        """Ask as `case` says, but for half of the names with one that is there."""
        case.path_parameters |= {n: KNOWN[n] for n, v in case.path_parameters.items() if n in KNOWN and len(str(v)) % 2}
        told = requests.Request(**case.as_transport_kwargs("http://controller")).prepare()
        return self.ask(told.method, told.url, dict(told.headers), told.body)


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory):
    with Fuzzed(tmp_path_factory.mktemp("fuzzed")) as running:
        yield running


OPERATIONS = [each.ok() for each in from_dict(described("0").openapi()).get_all_operations()]


CAN_BE_WRONG = [each for each in OPERATIONS if "application/json" in str(each.definition.raw.get("requestBody"))]
CASES = [(each, GenerationMode.POSITIVE) for each in OPERATIONS]
CASES += [(each, GenerationMode.NEGATIVE) for each in CAN_BE_WRONG]


def sound(answer):
    """Return whether an answer is one that REST promises."""
    if answer.status_code < 400:
        return True
    if answer.status_code >= 500 and answer.status_code not in {501, 502, 503, 504, 507}:
        return False
    if answer.request.method == "HEAD":
        return True
    said = answer.json()
    return said["success"] is False and all(isinstance(said[name], str) for name in ("error", "code", "hint"))


@pytest.mark.parametrize(("operation", "mode"), CASES, ids=[f"{each.label} {mode.value}" for each, mode in CASES])
def test_no_request_makes_the_controller_fail(fuzzed, operation, mode):
    @seed(6)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def asked(case):
        answer = fuzzed.send(case)
        assert sound(answer), (answer.request.method, answer.request.url, answer.status_code, answer.text)

    asked()


@pytest.mark.parametrize("path", REQUESTS)
def test_each_example_is_understood(fuzzed, path):
    where = path.replace("{deed}", "stop").replace("{device_id}", "pi5-1")
    answer = fuzzed.http.request("POST", where, json=REQUESTS[path])
    answer = asyncio.run_coroutine_threadsafe(answer, fuzzed.loop).result(WITHIN_S)

    assert answer.status_code in {200, 202} or answer.json()["code"] not in {"invalid", "internal"}, answer.text


def test_every_path_tells_the_form_of_its_errors():
    for item in described("0").openapi()["paths"].values():
        for operation in item.values():
            assert operation["responses"].get("default") == FAILURE, f"{operation['summary']}: responses=RESPONSES"
            assert "422" not in operation["responses"]
