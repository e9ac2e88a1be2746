"""The command line against a controller that only speaks REST: data, talk, exit codes."""

import json
import re
import subprocess
import sys

import pytest
from typer.main import get_command

from controller.cli.app import app
from controller.cli.exits import Exit
from tests.dashboard import fake_controller
from tests.dashboard.fake_controller import FakeController

HEAVY = {"pandas", "sklearn", "httpx", "fastapi", "streamlit", "numpy", "rich", "onnxruntime", "asyncio"}
ESCAPE = re.compile("\x1b")


@pytest.fixture
def fake():
    with FakeController(count=5) as running:
        yield running


def commands(group=None, path=()):
    for name, each in sorted((group or get_command(app)).commands.items()):
        if hasattr(each, "commands"):
            yield from commands(each, (*path, name))
        else:
            yield (*path, name), each


ALL = [pytest.param(path, each, id=" ".join(path)) for path, each in commands()]
READS = [
    ("status",),
    ("devices", "list"),
    ("devices", "show", "pi5-1"),
    ("devices", "watch", "--rounds", "1"),
    ("devices", "messages", "pi5-1"),
    ("devices", "logs", "pi5-1"),
    ("models", "list"),
    ("models", "show", "digits_cnn_s"),
    ("deployments", "list"),
    ("events", "list"),
    ("events", "follow", "--rounds", "1"),
    ("logs", "list"),
    ("logs", "export"),
    ("bus", "topics"),
    ("bus", "acl"),
    ("deploy", "digits_cnn_s", "--to", "pi5-1", "--dry-run"),
]


@pytest.mark.parametrize(("path", "command"), ALL)
def test_each_command_helps_with_an_example_first(path, command):
    assert command.help.startswith(f"Example: edgewatt {' '.join(path)}")
    assert {"--json", "--quiet", "--controller"} <= {name for each in command.params for name in each.opts}


@pytest.mark.parametrize("words", READS, ids=" ".join)
def test_what_is_piped_is_plain_whole_and_silent_on_stderr(edgewatt, words):
    code, out, err = edgewatt(*words)

    assert code == Exit.DONE
    assert out
    assert not ESCAPE.search(out)
    assert "…" not in out
    assert err == ""


@pytest.mark.parametrize("words", READS, ids=" ".join)
def test_json_parses(edgewatt, words):
    _, out, _ = edgewatt(*words, "--json")

    if {"watch", "follow"} & set(words):
        assert all(isinstance(json.loads(line), dict) for line in out.splitlines())
    else:
        assert json.loads(out)


def test_help_is_light():
    code = (
        "import sys; from controller.cli.app import run; run(['--help']); "
        "print(*{name.split('.')[0] for name in sys.modules})"
    )

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert not HEAVY & set(loaded.splitlines()[-1].split())


def test_the_version_is_printed(edgewatt):
    code, out, _ = edgewatt("--version")

    assert code == Exit.DONE
    assert re.fullmatch(r"edgewatt \d+\.\d+\.\d+\n", out)


def test_an_unknown_command_suggests_the_nearest(edgewatt):
    code, out, err = edgewatt("devcies")

    assert code == Exit.USAGE
    assert out == ""
    assert "devices" in err


def test_an_unknown_command_is_json_when_asked(edgewatt):
    code, _, err = edgewatt("devcies", "--json")

    assert code == Exit.USAGE
    assert json.loads(err)["code"] == "usage"


def test_a_missing_argument_is_a_usage_error(edgewatt):
    code, _, err = edgewatt("deploy", "digits_cnn_s")

    assert code == Exit.USAGE
    assert "--to" in err
    assert "edgewatt deploy --help" in err


def test_an_unknown_device_is_not_found_and_the_nearest_are_named(edgewatt):
    code, out, err = edgewatt("devices", "show", "pi5-9")

    assert code == Exit.NOT_FOUND
    assert out == ""
    assert "hint: nearest: jetson-1" in err


def test_an_error_is_json_on_stderr_when_asked(edgewatt):
    code, out, err = edgewatt("devices", "show", "pi5-9", "--json")

    assert out == ""
    said = json.loads(err)
    assert (said["success"], said["code"], said["exit_code"]) == (False, "not_found", code)


def test_an_unknown_model_is_not_found_and_the_nearest_are_named(edgewatt):
    code, _, err = edgewatt("models", "show", "digits_cnn")

    assert code == Exit.NOT_FOUND
    assert "digits_cnn_s" in err


def test_a_controller_that_is_not_there_is_unreachable(edgewatt, free_port):
    code, _, err = edgewatt("status", "--controller", f"http://127.0.0.1:{free_port}")

    assert code == Exit.UNREACHABLE
    assert "edgewatt up" in err


def test_devices_are_filtered_by_tag(edgewatt):
    _, out, _ = edgewatt("devices", "list", "--tag", "line=B", "--json")

    assert {each["id"] for each in json.loads(out)["devices"]} == {"pi5-2", "pi4-1", "bbb-1"}


def test_what_waits_for_a_sleeping_device_says_when_it_will_apply(edgewatt, fake):
    moving = fake.add(fake.devices[0], "digits_cnn_s", events=[{"at": 1.0, "phase": "queued", "reason": "it sleeps"}])
    moving["will_apply_at"] = 4e9

    _, out, _ = edgewatt("deployments", "list")
    assert "it sleeps; will apply at 2096-10-02 07:06 UTC (in " in out
    assert json.loads(edgewatt("devices", "list", "--health", "asleep", "--json")[1])["devices"] == []


def test_a_list_that_was_cut_says_how_to_see_the_rest(edgewatt):
    _, _, err = edgewatt("devices", "list", "--limit", "2")

    assert "3 more: --limit 5" in err


def test_a_device_over_its_budget_is_marked_in_words(edgewatt):
    _, out, _ = edgewatt("devices", "list")

    (line,) = [each for each in out.splitlines() if each.startswith("pi5-2")]
    assert "OVER" in line


def test_a_simulated_energy_says_so(edgewatt):
    _, out, _ = edgewatt("devices", "show", "pi5-1")

    assert "(source: simulated)" in out


def test_changing_a_device_needs_yes_when_there_is_nobody_to_ask(edgewatt, fake):
    code, _, err = edgewatt("devices", "forget", "pi5-1")

    assert code == Exit.USAGE
    assert "--yes" in err
    assert fake.writes == []


@pytest.mark.parametrize("verb", ["rollback", "stop", "approve", "forget"])
def test_a_change_that_was_agreed_to_is_made(edgewatt, fake, verb):
    code, _, err = edgewatt("devices", verb, "pi5-1", "--yes")

    assert code == Exit.DONE
    assert "pi5-1" in err
    assert len(fake.writes) == 1


def answering(monkeypatch, answer):
    """Have the fake controller answer so about events."""
    route = ("GET", r"/api/logs", lambda *_, **__: (200, answer))
    monkeypatch.setattr(fake_controller, "ROUTES", [route, *fake_controller.ROUTES])


def test_a_controller_without_pages_has_its_events_listed(edgewatt, monkeypatch):
    answering(monkeypatch, {"logs": []})

    assert edgewatt("events", "list", "--json")[0] == Exit.DONE


@pytest.mark.parametrize("answer", [{}, {"logs": None}, {"logs": [None]}])
def test_an_answer_of_another_shape_is_told_in_words(edgewatt, monkeypatch, answer):
    answering(monkeypatch, answer)

    code, out, err = edgewatt("events", "list", "--json")
    told = edgewatt("events", "list")

    assert code in {Exit.UNREACHABLE, Exit.FAILED, Exit.DONE}
    assert json.loads(out or err)
    assert told[0] in {Exit.UNREACHABLE, Exit.FAILED}
    assert told[2].startswith("error: ")


def test_quiet_says_nothing(edgewatt):
    assert edgewatt("devices", "start", "pi5-1", "--quiet") == (Exit.DONE, "", "")


def test_the_settings_file_names_the_controller(edgewatt, fake, monkeypatch, tmp_path):
    monkeypatch.delenv("EDGEWATT_CONTROLLER_URL")
    (tmp_path / "none.toml").write_text(f'controller_url = "{fake.url}"\n')

    assert edgewatt("status")[0] == Exit.DONE


def test_a_broken_settings_file_is_a_sentence(edgewatt, monkeypatch, tmp_path):
    monkeypatch.delenv("EDGEWATT_CONTROLLER_URL")
    (tmp_path / "none.toml").write_text("controller_url = \n")

    code, _, err = edgewatt("status")

    assert code == Exit.USAGE
    assert "cannot read the settings" in err


def test_a_reader_who_has_seen_enough_is_no_error(fake):
    words = [sys.executable, "-m", "controller.cli", "events", "follow", "--rounds", "3", "--every", "0.1"]
    with subprocess.Popen(
        [*words, "--controller", fake.url], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        err = process.stderr.read()

    assert process.returncode == Exit.DONE
    assert err == b""


def test_events_are_listed_to_the_limit_over_several_pages(edgewatt, fake):
    for n in range(30):
        fake.add(fake.devices[0], f"m{n}", events=[{"at": float(n + 1), "phase": "failed", "reason": ""}])

    _, out, err = edgewatt("events", "list", "--device", "jetson-1", "--limit", "20", "--json")
    assert len(json.loads(out)["logs"]) == 20
    assert "there are older ones" in edgewatt("events", "list", "--limit", "20")[2]
    assert err == ""


def test_a_time_that_is_none_is_a_usage_error(edgewatt):
    assert edgewatt("logs", "clear", "--before", "soon", "--yes")[0] == Exit.USAGE


def test_the_log_is_exported_to_a_file_or_to_stdout(edgewatt, tmp_path):
    code, out, err = edgewatt("logs", "export", "--out", str(tmp_path / "log.json"))
    assert (code, out) == (Exit.DONE, "")
    assert "written to" in err
    assert json.loads((tmp_path / "log.json").read_text())["logs"]

    assert edgewatt("logs", "export", "--out", str(tmp_path))[0] == Exit.FAILED


def test_clearing_the_log_needs_a_yes_and_says_where_it_went(edgewatt, fake):
    assert edgewatt("logs", "clear")[0] == Exit.USAGE
    assert fake.writes == []

    _, _, err = edgewatt("logs", "clear", "--before", "7d", "--yes")
    assert "events moved to events-1.jsonl.gz, kept until 2027-12-28" in err
    assert "there is nothing to clear" in edgewatt("logs", "clear", "--yes")[2]


def test_a_device_says_what_its_owner_allows(edgewatt, fake):
    fake.devices[0]["info"] = {"policy": {"locked": True, "max_energy_mj": 40.0}}
    _, out, _ = edgewatt("devices", "show", fake.devices[0]["id"])
    _, other, _ = edgewatt("devices", "show", fake.devices[1]["id"])

    assert "locked: takes no deployment; at most 40 mJ per inference" in " ".join(out.split())
    assert "none: takes what it is sent" in " ".join(other.split())
