"""`edgewatt doctor`, `config show` and `openapi`: what to do, and whether all is well."""

import json

import pytest

from controller.cli.app import run
from controller.cli.bus_checkup import bus, durability, fitness, holds, rights
from controller.cli.bus_probe import Heard
from controller.cli.exits import Exit
from controller.cli.settings import origin
from tests.conftest import NO_MOSQUITTO
from tests.dashboard.fake_controller import FakeController
from tests.fleet.secured import SecuredBroker


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


T0, DAY_S = 1_800_000_000.0, 86_400.0


def test_a_certificate_is_warned_of_a_month_before_its_end():
    assert holds(T0 + 31 * DAY_S, T0).verdict == "ok"
    near = holds(T0 + 29 * DAY_S, T0)
    assert near.verdict == "warn"
    assert "29 days" in near.says
    assert "edgewatt init --renew" in near.hint


def test_rights_that_do_not_hold_are_a_failure_unless_this_machine_is_the_border():
    assert rights(Heard(), "operator", local=False).verdict == "ok"
    assert rights(Heard(unguarded=True), None, local=True).verdict == "ok"
    for user, local in (("operator", True), (None, False)):
        found = rights(Heard(unguarded=True), user, local=local)
        assert found.verdict == "fail"
        assert "edgewatt bus acl" in found.hint


def test_what_was_seen_of_a_restart_is_said_and_nothing_more():
    before = Heard(kept=True, kept_at=T0 - 7_300, uptime_s=7_200.0)
    assert "from before the broker's start, 2.0 h ago" in durability(before, T0).says
    for unseen in (Heard(kept=True), Heard(kept=True, kept_at=T0 - 60, uptime_s=7_200.0)):
        assert "not seen yet" in durability(unseen, T0).says
    assert durability(Heard(kept=False), T0).verdict == "warn"


def test_an_open_broker_is_well_on_this_machine_and_is_asked_what_it_keeps(edgewatt, monkeypatch, amqtt):
    monkeypatch.setenv("EDGEWATT_BROKER_URL", amqtt.url)

    found = checks(edgewatt("doctor", "--json")[1])

    assert found["strangers"]["verdict"] == "ok"
    assert "this machine only" in found["strangers"]["says"]
    assert found["broker's TLS"]["verdict"] == "ok"
    assert found["retained, over a restart"]["verdict"] == "ok"
    assert "may do everything" in found["broker's rights"]["says"]


@pytest.mark.parametrize("kind", ["amqtt", pytest.param("mosquitto", marks=NO_MOSQUITTO)])
def test_a_secured_broker_is_well_for_its_operator_and_each_mistake_is_named(edgewatt, monkeypatch, tmp_path, kind):
    broker = SecuredBroker(tmp_path / "data", kind)
    told = {"URL": broker.people_url, "USERNAME": "operator", "CA_FILE": str(broker.security.ca)}
    told["PASSWORD_FILE"] = str(broker.security.password_of("operator"))
    for name, value in told.items():
        monkeypatch.setenv(f"EDGEWATT_BROKER_{name}", value)
    try:
        well = checks(edgewatt("doctor", "--json")[1])
        monkeypatch.setenv("EDGEWATT_BROKER_PASSWORD_FILE", str(broker.security.password_of("controller")))
        other = checks(edgewatt("doctor", "--json")[1])["broker from here"]
        monkeypatch.delenv("EDGEWATT_BROKER_CA_FILE")
        unknown = checks(edgewatt("doctor", "--json")[1])["broker from here"]
    finally:
        broker.kill()

    parts = ("broker from here", "broker's TLS", "strangers", "broker's rights", "retained, over a restart")
    assert {part: well[part]["verdict"] for part in parts} == dict.fromkeys(parts, "ok")
    assert "nobody gets in without a user" in well["strangers"]["says"]
    assert "825 days" in well["broker's TLS"]["says"]
    assert "does not let the user 'operator' in" in other["says"]
    assert "broker_password_file" in other["hint"]
    assert "authority we do not know" in unknown["says"]
    assert "broker_ca_file" in unknown["hint"]
