"""Having models made from the command line: followed to the end, left alone, cancelled, refused in words."""

import json
import subprocess
import sys

import pytest

from controller.cli.app import run
from controller.cli.exits import Exit
from tests.fleet.controllers import RunningController
from tests.fleet.making_controller import MODEL


@pytest.fixture
def start(amqtt, tmp_path, monkeypatch):
    """A function that starts a controller whose worker does what it is told, and makes it the command line's."""
    started = []

    def begin(does):
        launcher = ("-m", "tests.fleet.making_controller", does)
        started.append(RunningController(amqtt.url, tmp_path / "controller", launcher=launcher))
        monkeypatch.setenv("EDGEWATT_CONTROLLER_URL", started[-1].url)
        return started[-1]

    yield begin
    for controller in started:
        controller.stop()


@pytest.fixture
def edgewatt(capsys):
    """Run a command line: exit code, stdout, stderr."""

    def call(*words):
        code = run(words)
        out, err = capsys.readouterr()
        return code, out, err

    return call


def test_a_download_is_followed_to_its_file_and_is_there_the_next_time(start, edgewatt):
    start("makes")

    code, out, err = edgewatt("models", "download", MODEL)
    again_code, again_out, again_err = edgewatt("models", "download", MODEL)
    _, listed, _ = edgewatt("jobs", "list")

    assert (code, again_code) == (Exit.DONE, Exit.DONE)
    assert "timm: tinynet.in1k" in out
    assert err.startswith(f"{MODEL}: ")
    assert "was here already" in again_err
    assert MODEL in again_out
    assert "done" in listed


def test_a_variant_is_made_and_told_as_json(start, edgewatt):
    start("makes")

    code, out, _ = edgewatt("models", "convert", MODEL, "--format", "onnx", "--variant", "fp16", "--json")

    made = json.loads(out)
    assert code == Exit.DONE
    assert (made["model"], made["state"]) == (f"{MODEL}-fp16", "done")


def test_what_cannot_be_made_is_a_sentence_and_at_once_the_second_time(start, edgewatt):
    start("cannot")

    first_code, _, first = edgewatt("models", "download", MODEL)
    code, _, second = edgewatt("models", "download", MODEL, "--json")

    assert (first_code, code) == (Exit.FAILED, Exit.FAILED)
    assert f"error: {MODEL} was not made: aten::strange cannot be converted" in first
    assert "hint: try onnx" in first
    said = json.loads(second)
    assert said["code"] == "unsupported_operator"
    assert "(since " in said["error"]


def test_an_unknown_name_is_answered_with_the_nearest(start, edgewatt):
    start("makes")

    code, _, err = edgewatt("models", "download", "tinnynet")

    assert code == Exit.NOT_FOUND
    assert MODEL in err


def test_nobody_has_to_wait_and_a_job_can_be_shown_and_cancelled(start, edgewatt):
    start("hangs")

    _, out, _ = edgewatt("models", "download", MODEL, "--untrained", "--no-wait", "--json")
    job_id = json.loads(out)["id"]
    _, shown, _ = edgewatt("jobs", "show", job_id)
    code, _, err = edgewatt("jobs", "cancel", job_id)
    twice, _, _ = edgewatt("jobs", "cancel", job_id)
    unknown, _, _ = edgewatt("jobs", "show", "nonsense")

    assert "random weights" in shown
    assert (code, twice, unknown) == (Exit.DONE, Exit.FAILED, Exit.NOT_FOUND)
    assert "is cancelled" in err


def test_ctrl_c_leaves_the_job_running_and_says_so(start, edgewatt):
    controller = start("hangs")
    words = [sys.executable, "-m", "controller.cli", "models", "download", MODEL, "--controller", controller.url]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        while "thinking" not in process.stderr.readline():
            pass
        process.send_signal(2)
        err = process.stderr.read()

    _, out, _ = edgewatt("jobs", "list", "--state", "running", "--json")
    assert process.returncode == Exit.INTERRUPTED
    assert "it goes on: edgewatt jobs show job_" in err
    assert json.loads(out)["total"] == 1
