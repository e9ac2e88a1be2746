"""A local EdgeWatt that others may reach: refused without keys, and with them every program signs in."""

import pytest

from broker.credentials import Credentials
from broker.errors import InvalidError
from broker.passwords import matches, read_users
from controller.cli.app import run
from controller.cli.demo import Report
from controller.cli.demo_fleet import FIRST, Trial
from controller.cli.exits import Exit
from controller.cli.secured import let_in, security_of
from controller.cli.stack import Stack, agent_program, broker_program, chosen_broker, controller_program
from controller.cli.welcome import welcome
from tests.conftest import NO_MOSQUITTO
from tests.fleet.secured import make_security

EVERYWHERE = "0.0.0.0"


@pytest.fixture
def security(tmp_path):
    return make_security(tmp_path).security


def place(tmp_path, security, **changes):
    facts = {"broker": "amqtt", "mqtt_port": 8883, "port": 5000, "dashboard_port": 8501, "host": EVERYWHERE}
    return Stack(data=tmp_path, security=security, **facts | changes)


def test_without_keys_only_this_machine_reaches_it(tmp_path, capsys):
    assert security_of(tmp_path, "127.0.0.1", "amqtt") is None
    assert run(["up", "--data", str(tmp_path), "--host", EVERYWHERE, "--no-dashboard"]) == Exit.USAGE

    said = capsys.readouterr().err
    assert "no keys and users" in said
    assert f"edgewatt init --data {tmp_path}" in said


def test_a_broker_without_users_is_not_taken_where_users_are(tmp_path, security):
    assert security_of(tmp_path, "127.0.0.1", "mosquitto") == security
    with pytest.raises(InvalidError, match="knows no users"):
        security_of(tmp_path, "127.0.0.1", "nats")
    assert chosen_broker("auto", users=True) in ("mosquitto", "amqtt")


def test_broker_controller_and_devices_are_told_files_and_no_secret(tmp_path, security):
    stack = place(tmp_path, security)
    let_in(security, tmp_path, [FIRST[0].id])
    programs = [broker_program(stack), controller_program(stack), agent_program(stack, FIRST[0])]
    words = " ".join(word for each in programs for word in (*each.argv, *each.env.values()))
    who = programs[2].env

    password = Credentials(username=FIRST[0].id, password=open_file(who["EDGEWATT_PASSWORD_FILE"])).password
    assert matches(password, read_users(security.passwords)[FIRST[0].id])
    assert who["EDGEWATT_CA_FILE"] == str(security.ca)
    assert {"--cert-file", "--key-file", "--users", "--pid-file"} <= set(programs[0].argv)
    assert str(security.root) in programs[1].argv
    assert password not in words
    assert (stack.controller_url, stack.broker_url) == ("https://localhost:5000", "mqtts://localhost:8883")


def open_file(path):
    with open(path) as file:  # noqa: PTH123 - the setting is text
        return file.read()


@NO_MOSQUITTO
def test_mosquitto_is_configured_with_what_init_made(tmp_path, security):
    program = broker_program(place(tmp_path, security, broker="mosquitto", mqtt_port=18_883))
    text = open_file(program.argv[2])

    assert f"listener 18883 {EVERYWHERE}" in text
    assert f"password_file {security.passwords}" in text
    assert "allow_anonymous false" in text
    assert text.count("use_username_as_clientid true") == 1
    assert f"password_file {security.people}" in text


def test_a_person_is_told_how_to_sign_in_and_types_no_password(tmp_path, security):
    trial = Trial(model="digits_mlp", budget_mj=5.0, fits_on="a", refused_on="b")
    report = Report(
        dashboard_url=None,
        controller_url="https://localhost:5001",
        broker_url="mqtts://localhost:8883",
        broker="amqtt",
        data_dir=str(tmp_path),
        devices=["a"],
        live=["a"],
        trial=trial,
        security=str(security.root),
        people_port=8884,
    )

    text = welcome(report)

    assert f"token in {security.admin_token}" in text
    assert f"XDG_CONFIG_HOME={security.mqtt_options} mosquitto_pub -q 1 -t device/a/cmd" in text
    assert f"EDGEWATT_CONFIG={security.client_settings} EDGEWATT_CONTROLLER_URL=https://localhost:5001 edgewatt" in text
