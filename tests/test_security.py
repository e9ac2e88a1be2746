"""What `edgewatt init` makes: rights as one table, users as Mosquitto hashes them, and nothing written over."""

import json
import shutil
import ssl
import stat
import subprocess
from datetime import timedelta

import pytest

from broker.acl import READ, WRITE, allows, controller_rules, covers, device_rules, mosquitto_acl, operator_rules
from broker.credentials import Credentials, read_secret
from broker.errors import EdgeWattError, InvalidError
from broker.paho import PahoLink
from broker.passwords import hashed, matches, new_password, read_users, write_users
from broker.topics import CONTROLLER_STATUS, ROUTES, agent_filters, controller_filters
from controller.cli.app import run
from controller.cli.exits import Exit
from controller.security import certificates
from controller.security.folder import Security
from controller.settings import load
from tests.fleet.secured import OURSELVES, make_security

NEEDS_TOOL = pytest.mark.skipif(shutil.which("mosquitto_passwd") is None, reason="apt-get install mosquitto")


def test_the_rights_let_each_do_its_part_and_nothing_else():
    device, controller, operator = device_rules("a"), controller_rules(), operator_rules()

    for route in ROUTES:
        own, other = route.topic("a"), route.topic("b")
        assert allows(device, own, WRITE) == ("agent" in route.writers)
        assert allows(device, own, READ) == ("agent" in route.readers)
        assert not allows(device, other, READ)
        assert not allows(device, other, WRITE)
        assert allows(controller, own, READ)
        assert allows(operator, own, READ)
        assert allows(operator, own, WRITE) == ("operator" in route.writers)
    assert all(covers(device, each) for each in agent_filters("a"))
    assert all(covers(controller, each) for each in controller_filters())
    assert not allows(device, CONTROLLER_STATUS, WRITE)
    assert not any(covers(device, each) for each in ("#", "device/#", "device/+/cmd", "+/a/cmd", "device/a/#"))


def test_more_people_have_the_rights_of_an_operator():
    rules = mosquitto_acl(("ana", "operator"))

    assert rules.count("topic write device/+/cmd") == 3
    assert "user ana" in rules


@pytest.mark.parametrize("line", ["", "plain", "$6$a$b", "$7$x$AA==$AA==", "$7$101$%%$AA==", "$7$999999999$AA==$AA=="])
def test_what_is_no_hash_matches_nothing(line):
    assert not matches("", line)


@NEEDS_TOOL
def test_hashes_are_those_of_mosquitto_in_both_directions(tmp_path):
    file = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-c", "-b", file, "a", "secret"], check=True)

    assert matches("secret", read_users(file)["a"])
    assert not matches("Secret", read_users(file)["a"])
    assert matches("secret", hashed("secret"))


def test_users_are_written_whole_and_stay_readable_for_whom_they_were(tmp_path):
    file = tmp_path / "passwords"
    file.write_text("old:x\n")
    file.chmod(0o640)

    write_users(file, {"b": hashed(new_password()), "a": "y"})

    assert list(read_users(file)) == ["a", "b"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [file]
    with pytest.raises(EdgeWattError, match="cannot write the users"):
        write_users(tmp_path / "none" / "passwords", {})


def init(capsys, *words):
    code = run(["init", *words])
    return code, *capsys.readouterr()


def done(out):
    return {piece["file"]: piece["done"] for piece in json.loads(out)["pieces"]}


def test_init_makes_all_keeps_all_and_prints_no_secret(tmp_path, capsys):
    flags = ("--data", str(tmp_path), "--host", "Broker.Example.org", "--broker-user", OURSELVES)
    code, first, said = init(capsys, *flags)
    security = Security.of(tmp_path)
    files = {path.name: path.read_bytes() for path in security.root.rglob("*") if path.is_file()}

    again, second, _ = init(capsys, *flags, "--json")

    assert (code, again) == (Exit.DONE, Exit.DONE)
    assert security.made
    assert files == {path.name: path.read_bytes() for path in security.root.rglob("*") if path.is_file()}
    assert set(done(second).values()) == {"kept"}
    assert "broker.example.org" in certificates.names_of(certificates.read_certificate(files["server.pem"]))
    assert {"localhost", "127.0.0.1", "::1"} <= set(
        certificates.names_of(certificates.read_certificate(files["server.pem"]))
    )
    for name in ("controller.password", "operator.password"):
        assert files[name].decode().strip() not in first + said + second
    assert {stat.S_IMODE(path.stat().st_mode) for path in security.root.rglob("*") if path.is_file()} == {0o600}
    assert stat.S_IMODE(security.root.stat().st_mode) == 0o700
    users = read_users(security.passwords)
    assert matches(files["controller.password"].decode().strip(), users["controller"])
    assert said.count("edgewatt ") == 3


def test_a_host_and_a_person_are_added_without_a_new_authority(tmp_path):
    before = make_security(tmp_path).security
    authority, key = before.ca.read_bytes(), before.server_key.read_bytes()

    again = make_security(tmp_path, asked=("10.0.0.9",), operators=("ana",))

    changed = {piece.file for piece in again.pieces if piece.done != "kept"}
    assert changed == {"server.pem", "ana.password", "passwords", "people", "acl"}
    assert (before.ca.read_bytes(), before.server_key.read_bytes()) == (authority, key)
    names = certificates.names_of(certificates.read_certificate(before.server.read_bytes()))
    assert set(names) == {"localhost", "10.0.0.9"}
    assert set(read_users(before.passwords)) == {"controller", "operator", "ana"}
    assert "user ana" in before.acl.read_text()


def test_a_server_certificate_near_its_end_is_renewed_and_a_missing_authority_key_is_said(tmp_path):
    making = make_security(tmp_path)
    making.now += certificates.SERVER - timedelta(days=20)
    making.pieces.clear()
    making.run(("localhost",), (), (), renew=False)
    assert [piece.file for piece in making.pieces if piece.done == "renewed"] == ["server.pem"]

    making.security.ca_key.unlink()
    assert {piece.done for piece in make_security(tmp_path).pieces} == {"kept"}
    with pytest.raises(InvalidError, match=r"ca\.key is not there"):
        make_security(tmp_path, renew=True)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--host", "http://a:1"), "is no host"),
        (("--operator", "controller"), "cannot be called controller"),
        (("--operator", "A b"), "is no device id"),
        (("--broker-user", "nobody-here"), "no user 'nobody-here'"),
    ],
)
def test_what_makes_no_sense_to_init_is_refused_with_a_sentence(tmp_path, capsys, flags, says):
    code, out, said = init(capsys, "--data", str(tmp_path / "x"), *flags)

    assert code == Exit.USAGE
    assert says in said
    assert "Traceback" not in out + said


def test_damaged_files_are_said_and_left_alone(tmp_path, capsys):
    security = make_security(tmp_path).security
    security.ca.write_text("no certificate")

    code, _, said = init(capsys, "--data", str(tmp_path), "--broker-user", OURSELVES)

    assert code == Exit.USAGE
    assert "ca.pem is damaged" in said
    assert security.ca.read_text() == "no certificate"


def test_the_controller_takes_from_the_folder_what_nobody_said(tmp_path):
    security = make_security(tmp_path).security

    found = load({"data": str(tmp_path)}, {})

    assert (found.broker, found.username) == ("mqtts://localhost:8883", "controller")
    assert found.credentials.password == security.password_of("controller").read_text().strip()
    assert found.credentials.context().verify_mode is ssl.CERT_REQUIRED
    assert found.signer is not None
    plain = load({"data": str(tmp_path), "broker": "mqtt://b:1"}, {})
    assert (plain.username, plain.credentials.password) == ("", None)
    with pytest.raises(InvalidError, match="there is no security in"):
        load({"security": str(tmp_path / "none" / "security")}, {})


def test_credentials_keep_their_secret_to_themselves_and_name_the_file_that_is_wrong(tmp_path):
    empty = tmp_path / "empty"
    empty.write_text("\n")

    assert "secret" not in repr(Credentials(username="a", password="secret"))
    for path in (empty, tmp_path / "none"):
        with pytest.raises(InvalidError, match=path.name):
            read_secret(str(path))
    for wrong in ({"ca_file": str(empty)}, {"ca_file": str(tmp_path / "none")}, {"cert_file": str(empty)}):
        with pytest.raises(InvalidError, match="cannot use"):
            Credentials(**wrong).context()


def test_a_password_that_goes_over_the_network_in_the_clear_is_warned_of(caplog):
    who = Credentials(username="a", password="s3cret")
    for url in ("mqtt://localhost:1883", "mqtts://broker.example:8883"):
        PahoLink(url, "a", credentials=who)
    assert caplog.text == ""

    PahoLink("mqtt://broker.example:1883", "a", credentials=who)

    assert "in the clear: write mqtts://" in caplog.text
    assert "s3cret" not in caplog.text
