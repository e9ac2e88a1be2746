"""`edgewatt doctor`, `config show` and `openapi`: what to do, and whether all is well."""

import json

import pytest

from controller.cli.app import run
from controller.cli.bus_checkup import bus, fitness
from controller.cli.exits import Exit
from controller.cli.settings import origin
from tests.dashboard.fake_controller import FakeController


@pytest.fixture
def fake():
    with FakeController(count=3) as running:
        yield running


def checks(out):
    return {each["what"]: each for each in json.loads(out)["checks"]}


def test_all_that_is_wrong_is_found_at_once_with_what_to_do(edgewatt, monkeypatch, free_port):
    monkeypatch.setenv("EDGEWATT_BROKER_URL", f"mqtt://127.0.0.1:{free_port}")

    code, out, _ = edgewatt("doctor", "--json")
    found = checks(out)

    assert code == Exit.FAILED
    assert found["broker from here"]["verdict"] == "fail"
    assert all(each["hint"] for each in found.values() if each["verdict"] != "ok")
    assert {"controller", "versions", "clock", "controller to broker", "agents"} <= set(found)


def test_a_controller_that_is_not_there_is_a_finding(capsys, monkeypatch, free_port, tmp_path):
    monkeypatch.setenv("EDGEWATT_CONFIG", str(tmp_path / "none.toml"))
    monkeypatch.setenv("EDGEWATT_BROKER_URL", f"mqtt://127.0.0.1:{free_port}")

    code = run(["doctor", "--json", "--controller", f"http://127.0.0.1:{free_port}"])
    found = checks(capsys.readouterr().out)

    assert code == Exit.FAILED
    assert found["controller"]["verdict"] == "fail"
    assert "edgewatt up" in found["controller"]["hint"]


def test_a_setting_says_where_it_is_from(edgewatt, tmp_path):
    file = tmp_path / "config.toml"
    file.write_text('broker_url = "mqtt://b:1"\ncontroller_url = "http://c:1"\n')
    told = {"EDGEWATT_CONFIG": str(file), "EDGEWATT_CONTROLLER_URL": "http://e:1"}

    assert origin("controller_url", "http://f:1", told) == ("http://f:1", "flag")
    assert origin("controller_url", None, told) == ("http://e:1", "environment (EDGEWATT_CONTROLLER_URL)")
    assert origin("broker_url", None, told) == ("mqtt://b:1", f"file ({file})")
    assert origin("broker_url", None, {"EDGEWATT_CONFIG": "nowhere"})[1] == "default"
    shown = json.loads(edgewatt("config", "show", "--json")[1])["settings"]
    assert shown[0]["origin"] == "environment (EDGEWATT_CONTROLLER_URL)"


def test_the_openapi_document_comes_alone_and_without_a_controller(edgewatt):
    code, out, err = edgewatt("openapi")

    assert (code, err) == (Exit.DONE, "")
    assert json.loads(out)["paths"]["/api/deploy"]["post"]["requestBody"]


def test_the_embedded_broker_says_what_it_is_and_when_the_fleet_has_outgrown_it(amqtt):
    small, large = ({each.what: each for each in bus(amqtt.url, devices)} for devices in (5, 301))

    assert small["broker's size"].verdict == "ok"
    assert "embedded" in small["broker's size"].says
    assert large["broker's size"].verdict == "warn"
    assert "--broker mosquitto" in large["broker's size"].hint


def test_other_brokers_carry_thousands():
    assert [fitness(version, 5_000).verdict for version in ("mosquitto version 2.0.11", None)] == ["ok", "ok"]
