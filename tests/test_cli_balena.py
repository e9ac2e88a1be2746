"""`edgewatt balena` against a whole controller and a fake of balena's API over real HTTP."""

import json
import os

import pytest

from controller.balena.token import VARIABLE, Token
from controller.cli.exits import Exit
from tests import fake_balena
from tests.fake_balena import BETTER, BROKEN, GOOD, SLUG, TOKEN, UUIDS
from tests.fleet.controllers import RunningController
from tests.rolling_fleet import RollingFleet


@pytest.fixture(scope="module")
def fake(tmp_path_factory):
    """A controller with two devices, of which one is a board at balena."""
    with fake_balena.serving() as balena:
        settings = {"balena_api_url": balena.url, "balena_fleet": SLUG, "balena_token": Token(TOKEN)}
        fleet = RollingFleet(tmp_path_factory.mktemp("balena"), **settings)
        fleet.join("pi5-1", balena_uuid=UUIDS[0])
        fleet.join("bench-1")
        fleet.balena = balena
        with fleet.served():
            yield fleet
        fleet.store.close()


@pytest.fixture(autouse=True)
def balena(fake):
    fake.balena.reset()
    return fake.balena


def test_boards_are_listed_with_what_both_sides_say(edgewatt):
    code, out, err = edgewatt("balena", "devices")

    rows = {line.split()[0]: line for line in out.splitlines()}
    assert code == Exit.DONE
    assert "pi5-1" in rows["gate"]
    assert "only at balena" in rows["belt"]
    assert "undervolted" in rows["belt"]
    assert "1.0.0 (pinned)" in rows["roof"]
    assert "only here" in rows["bench-1"]
    assert err == f"{SLUG}: 1 known to both, 2 only at balena, 1 only here\n"


def test_releases_are_listed_with_the_fleets_own(edgewatt):
    code, out, err = edgewatt("balena", "releases")

    assert code == Exit.DONE
    assert any(line.startswith(str(GOOD)) and "the fleet's" in line for line in out.splitlines())
    assert "invalidated" in out
    assert "takes each new release" in err


def test_a_dry_run_says_who_would_have_it(edgewatt, balena):
    code, out, err = edgewatt("balena", "deploy", str(BETTER), "--fleet", SLUG, "--dry-run")

    assert code == Exit.DONE
    assert [line.split()[0] for line in out.splitlines()] == ["board", "belt", "gate"]
    assert err.startswith("would be: release 1.1.0")
    assert balena.writes == []


def test_a_device_is_named_by_our_id(edgewatt, balena):
    code, out, _ = edgewatt("balena", "deploy", str(BETTER), "--device", "pi5-1", "--yes", "--json")

    assert code == Exit.DONE
    assert json.loads(out)["changed"] is True
    assert balena.writes == [(f"/v7/device(uuid='{UUIDS[0]}')", {"is_pinned_on__release": BETTER})]


def test_nothing_is_pinned_when_there_is_nobody_to_ask(edgewatt, balena):
    code, _, err = edgewatt("balena", "deploy", str(BETTER), "--device", UUIDS[1])

    assert code == Exit.USAGE
    assert "add --yes" in err
    assert balena.writes == []


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("deploy", str(BETTER)), Exit.USAGE, "either --device or --fleet"),
        (("deploy", "x", "--fleet", SLUG), Exit.USAGE, "valid integer"),
        (("deploy", str(BETTER), "--device", "bench-1", "--yes"), Exit.NOT_FOUND, "does not say what balena calls it"),
        (("deploy", str(BETTER), "--device", "pi5-9", "--yes"), Exit.NOT_FOUND, "did you mean pi5-1"),
        (("deploy", str(BETTER), "--fleet", "line", "--yes"), Exit.USAGE, "no slug of a balena fleet"),
        (("deploy", str(BROKEN), "--fleet", SLUG, "--yes"), Exit.FAILED, f"{BETTER} (1.1.0), {GOOD} (1.0.0)"),
        (("deploy", "999", "--fleet", SLUG, "--yes"), Exit.NOT_FOUND, "no balena release 999"),
        (("devices", "--fleet", "acme/none"), Exit.NOT_FOUND, "shows no fleet"),
        (("devices", "--where", "moon"), Exit.USAGE, "'both', 'balena', 'here'"),
        (("logs", "f" * 32), Exit.NOT_FOUND, "404"),
    ],
)
def test_what_makes_no_sense_is_a_sentence_and_a_code(edgewatt, balena, words, code, says):
    found, out, err = edgewatt("balena", *words)
    _, _, as_json = edgewatt("balena", *words, "--json")

    assert (found, out) == (code, "")
    assert says in err
    assert json.loads(as_json)["exit_code"] == code
    assert balena.writes == []


def test_lines_are_printed_with_time_and_whence(edgewatt):
    code, out, _ = edgewatt("balena", "logs", "pi5-1", "--limit", "2")

    assert code == Exit.DONE
    assert [line.split("  ")[1].strip() for line in out.splitlines()] == ["stdout", "stderr"]
    assert out.splitlines()[1].endswith("line 2")


def test_a_balena_that_is_busy_is_said_with_when_to_ask_again(edgewatt, balena):
    balena.faults.append({"status": 429, "headers": {"Retry-After": "90"}})

    code, _, err = edgewatt("balena", "releases")

    assert code == Exit.UNREACHABLE
    assert "in 90 s" in err


def test_a_whole_controller_takes_the_token_from_its_environment(mosquitto, tmp_path, balena):
    known = {VARIABLE: TOKEN, "EDGEWATT_BALENA_FLEET": SLUG, "EDGEWATT_BALENA_API_URL": balena.url}
    process = RunningController(mosquitto.url, tmp_path / "data", environment=os.environ | known)
    try:
        answered = process.get("/api/balena/releases").json()
    finally:
        process.stop()

    assert answered["fleet"]["slug"] == SLUG
    assert TOKEN not in process.log
