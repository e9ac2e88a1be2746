"""Orders to a device whose answer is awaited, predictions, and the bus itself."""

import asyncio
import json
import subprocess
import sys

import pytest

from broker.paho import PahoLink
from controller.cli.app import run
from controller.cli.exits import Exit
from tests.dashboard import fake_controller, fake_fleet


@pytest.fixture
def answers():
    """How a command stands, look by look; the last stays."""
    return []


@pytest.fixture
def edgewatt(answers, monkeypatch, capsys):
    def command(_fake, command_id, **_):
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return 200, {"command": {"id": command_id, "op": "bench", **found}}

    def predict(_fake, body, **_):
        return 200, {"data": [fake_fleet.predicted(each["model_name"], each["device_type"]) for each in body]}

    more = [("GET", r"/api/commands/([^/]+)", command), ("POST", "/api/predict-energy", predict)]
    monkeypatch.setattr(fake_controller, "ROUTES", [*fake_controller.ROUTES, *more])
    with fake_controller.FakeController(count=5) as fake:
        monkeypatch.setenv("EDGEWATT_CONTROLLER_URL", fake.url)

        def call(*words):
            code = run(words)
            out, err = capsys.readouterr()
            return code, out, err

        yield call


def test_a_measurement_is_awaited_and_printed_with_its_source(edgewatt, answers):
    result = {"energy_mj": 21.5, "energy_source": "simulated", "latency_p95_ms": 4.2}
    answers += [{"state": None, "ack": None}, {"state": "succeeded", "ack": {"result": result}}]

    code, out, _ = edgewatt("devices", "measure", "pi5-1", "digits_cnn_s")

    assert code == Exit.DONE
    assert "energy_mj: 21.5" in out
    assert "energy_source: simulated" in out


def test_a_measurement_that_fails_says_why(edgewatt, answers):
    answers.append({"state": "failed", "ack": {"error": {"code": "no_runtime", "msg": "reads no .tflite"}}})

    code, out, _ = edgewatt("devices", "measure", "pi5-1", "digits_cnn_s")

    assert code == Exit.FAILED
    assert out == "failed reads no .tflite\n"


def test_a_device_that_does_not_answer_a_ping_times_out(edgewatt, answers):
    answers.append({"state": None, "ack": None})

    code, out, err = edgewatt("devices", "ping", "pi5-1", "--within", "0")

    assert code == Exit.TIMED_OUT
    assert out == ""
    assert "it goes on as cmd-1" in err


@pytest.mark.parametrize("from_a_file", [False, True])
def test_settings_are_sent_and_the_device_s_answer_is_printed(edgewatt, answers, tmp_path, from_a_file):
    answers.append({"state": "succeeded", "ack": {"result": {"rate": 2.0}}})
    (tmp_path / "pace.json").write_text('{"rate": 2}')

    code, out, _ = edgewatt("devices", "configure", "pi5-1", f"@{tmp_path}/pace.json" if from_a_file else '{"rate": 2}')

    assert (code, out) == (Exit.DONE, "succeeded\nrate: 2.0\n")


@pytest.mark.parametrize("settings", ["", "rate=2", "[1]", "{}", "@no-such-file.json", "3"])
def test_settings_that_are_no_json_object_are_refused_before_anything_is_sent(edgewatt, settings):
    code, _, err = edgewatt("devices", "configure", "pi5-1", settings)

    assert code == Exit.USAGE
    assert "JSON" in err


def test_a_prediction_has_an_interval_for_each_board(edgewatt):
    _, out, _ = edgewatt("predict", "digits_cnn_s", "--on", "raspberry_pi_5", "--on", "bbb-1")

    assert [line.split()[0] for line in out.splitlines()[1:]] == ["raspberry_pi_5", "beaglebone_black"]
    assert "4.01–5.84 mJ" in out


def test_without_a_board_the_fleet_s_boards_are_predicted(edgewatt):
    _, out, _ = edgewatt("predict", "digits_cnn_s", "--json")

    assert len(json.loads(out)) == 4


@pytest.fixture
def tailing(broker):
    """`edgewatt bus tail` in its own process, already subscribed: it has printed a retained message."""
    asyncio.run(say(broker.url, ("device/pi5-1/status", STATUS), retain=True))
    words = [sys.executable, "-m", "controller.cli", "bus", "tail", "device/#", "--count", "3", "--json"]
    with subprocess.Popen([*words, "--broker", broker.url], stdout=subprocess.PIPE, text=True) as process:
        process.first = json.loads(process.stdout.readline())
        yield process
        process.kill()


STATUS = b'{"online":true,"session":"pi5-1-1"}'


async def say(url, *messages, retain=False):
    async with PahoLink(url, "test-says") as link:
        await anext(link.events())
        for topic, payload in messages:
            await link.publish(topic, payload, qos=1, retain=retain)


def test_the_bus_is_tailed_and_what_is_outside_the_contract_is_marked(broker, tailing):
    asyncio.run(say(broker.url, ("device/pi5-1/cmd", b"ping"), ("device/pi5-1/ack", b"{oops")))
    lines = [tailing.first, *(json.loads(line) for line in tailing.stdout)]

    assert [line["topic"].rpartition("/")[2] for line in lines] == ["status", "cmd", "ack"]
    assert ["error" in line for line in lines] == [False, False, True]
    assert tailing.wait(timeout=20) == Exit.DONE


def test_tailing_without_a_broker_is_unreachable(free_port, capsys):
    code = run(["bus", "tail", "--broker", f"mqtt://127.0.0.1:{free_port}"])

    assert code == Exit.UNREACHABLE
    assert "nobody listens on" in capsys.readouterr().err
