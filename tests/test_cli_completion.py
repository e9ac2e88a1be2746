"""Completion, as a shell drives it: names from a whole controller, silence without one, a Tab in a real bash."""

import os
import pty
import select
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from controller.cli import completing, completion
from controller.cli.exits import Exit
from tests.rolling_fleet import RollingFleet

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def fake(tmp_path_factory):
    fleet = RollingFleet(tmp_path_factory.mktemp("completion"))
    fleet.join("pi5-1", "pi5-2", tags={"line": "A"})
    fleet.join("jetson-1", tags={"line": "B", "site": "roof"})
    with fleet.served():
        yield fleet
    fleet.store.close()


@pytest.fixture
def complete(edgewatt, monkeypatch):
    """Ask as bash does what could follow the words; the last one is incomplete. A busy machine is given time."""
    monkeypatch.setattr(completing, "WITHIN_S", 30.0)

    def ask(*words):
        monkeypatch.setenv("_EDGEWATT_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", " ".join(("edgewatt", *words)))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        with pytest.raises(SystemExit) as ended:
            edgewatt()
        assert ended.value.code == 0

    def asked(*words, capsys):
        ask(*words)
        out, err = capsys.readouterr()
        assert err == ""
        return out.split()

    return asked


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("dev",), ["devices"]),
        (("devices", "sh"), ["show"]),
        (("devices", "show", ""), ["jetson-1", "pi5-1", "pi5-2"]),
        (("devices", "show", "pi"), ["pi5-1", "pi5-2"]),
        (("devices", "rollback", "j"), ["jetson-1"]),
        (("devices", "show", "nobody"), []),
        (("events", "list", "--device", "jet"), ["jetson-1"]),
        (("events", "list", "--type", "roll"), ["rollout"]),
        (("deploy", "digits_cnn_s", "--to", "line="), ["line=A", "line=B"]),
        (("deploy", "digits_cnn_s", "--to", "s"), ["site=roof"]),
        (("deploy", "digits_cnn_s", "--to", "p"), ["pi5-1", "pi5-2"]),
        (("deploy", "digits_cnn_"), ["digits_cnn_l", "digits_cnn_s"]),
        (("balena", "logs", "pi5-2"), ["pi5-2"]),
        (("alerts", "rules", "show", "too"), ["too-hot"]),
        (("alerts", "list", "--rule", "clo"), ["clock-off"]),
        (("alerts", "rules", "preview", "--quantity", "temp"), ["temperature_c"]),
        (("balena", "devices", "--where", "b"), ["both", "balena"]),
        (("completion", "show", "--shell", "z"), ["zsh"]),
    ],
)
def test_what_could_follow_is_what_there_is(complete, capsys, words, found):
    assert sorted(complete(*words, capsys=capsys)) == sorted(found)


def test_rollouts_and_deployments_are_completed_by_their_ids(complete, edgewatt, capsys):
    edgewatt("deploy", "digits_cnn_s", "--to", "jetson-1", "--yes")
    edgewatt("rollouts", "start", "digits_cnn_s", "--to", "line=A", "--yes")

    (rollout,) = complete("rollouts", "show", "", capsys=capsys)
    deployments = complete("deployments", "show", "", capsys=capsys)

    assert rollout.startswith("ro")
    assert deployments


def test_the_controller_that_the_line_names_is_asked(complete, capsys, free_port):
    elsewhere = f"http://127.0.0.1:{free_port}"

    assert complete("devices", "show", "--controller", elsewhere, "pi", capsys=capsys) == []


def answering(answer, asked):
    """Answer one request with `answer`, and keep what was asked; gives the address and the thread."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        with server, server.accept()[0] as connection:
            asked.append(connection.recv(65_536))
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer))

    thread = threading.Thread(target=serve)
    thread.start()
    return f"http://127.0.0.1:{server.getsockname()[1]}", thread


def test_a_controller_that_wants_to_know_who_asks_is_told(complete, capsys, monkeypatch):
    asked = []
    url, thread = answering(b'{"devices": [{"id": "pi5-1", "health": "live", "device_type": "x"}]}', asked)
    monkeypatch.setenv("EDGEWATT_CONTROLLER_URL", url)
    monkeypatch.setenv("EDGEWATT_TOKEN", "a-secret")

    assert complete("devices", "show", "", capsys=capsys) == ["pi5-1"]
    thread.join()
    assert b"Authorization: Bearer a-secret\r\n" in asked[0]


def test_without_an_answer_nothing_is_said(complete, capsys, monkeypatch, free_port, tmp_path):
    for address in (f"http://127.0.0.1:{free_port}", "http://", "nonsense", "https://127.0.0.1:1", "http://[::1"):
        monkeypatch.setenv("EDGEWATT_CONTROLLER_URL", address)
        assert complete("devices", "show", "", capsys=capsys) == []
    broken = tmp_path / "broken.toml"
    broken.write_text("= nonsense")
    monkeypatch.setenv("EDGEWATT_CONFIG", str(broken))
    monkeypatch.delenv("EDGEWATT_CONTROLLER_URL")
    assert complete("devices", "show", "", capsys=capsys) == []


@pytest.mark.parametrize("answer", [b"", b"[]", b'{"devices": 7}', b'{"devices": [{}]}', b"<html>", b"\xff\xfe"])
def test_something_else_on_the_port_is_no_error(complete, capsys, monkeypatch, answer):
    url, thread = answering(answer, [])
    monkeypatch.setenv("EDGEWATT_CONTROLLER_URL", url)

    assert complete("devices", "show", "", capsys=capsys) == []
    thread.join()


def test_one_that_never_answers_is_given_up(complete, capsys, monkeypatch):
    monkeypatch.setattr(completing, "WITHIN_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("EDGEWATT_CONTROLLER_URL", f"http://127.0.0.1:{server.getsockname()[1]}")

        assert complete("devices", "show", "", capsys=capsys) == []


def test_a_line_that_makes_no_sense_is_answered_in_silence(complete, capsys):
    assert complete("devices", "show", "--what", "x", "--", "-", capsys=capsys) == []


def test_completing_loads_nothing_heavy():
    code = "import controller.cli.app, sys; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert not {"httpx", "rich", "pandas", "fastapi", "numpy"} & set(loaded)


@pytest.fixture
def home(tmp_path, monkeypatch):
    for variable in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "ZDOTDIR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SHELL", "/usr/bin/bash")
    return tmp_path


@pytest.mark.parametrize(
    ("shell", "files"),
    [
        ("bash", (".local/share/edgewatt/completion.bash", ".bashrc")),
        ("zsh", (".local/share/edgewatt/completion.zsh", ".zshrc")),
        ("fish", (".config/fish/completions/edgewatt.fish",)),
    ],
)
def test_it_is_installed_once_and_says_what_it_changed(edgewatt, home, shell, files):
    _, planned, _ = edgewatt("completion", "install", "--shell", shell, "--dry-run")
    untouched = [path for path in home.rglob("*") if path.is_file()]
    code, out, _ = edgewatt("completion", "install", "--shell", shell)
    again, nothing, said = edgewatt("completion", "install", "--shell", shell)

    assert untouched == []
    assert planned == out
    assert (code, again) == (Exit.DONE, Exit.DONE)
    assert all(str(home / name) in out for name in files)
    assert [(home / name).exists() for name in files] == [True] * len(files)
    assert nothing.strip() in {"", "file  change"}
    assert "already" in said


def test_what_is_in_the_shells_own_file_stays(edgewatt, home):
    (home / ".bashrc").write_text("alias ll='ls -l'")

    edgewatt("completion", "install")

    lines = (home / ".bashrc").read_text().splitlines()
    assert lines[0] == "alias ll='ls -l'"
    assert len(lines) == 2


@pytest.mark.usefixtures("home")
def test_the_script_can_be_printed_instead(edgewatt):
    assert edgewatt("completion", "show")[1].strip() == completion.script("bash").strip()


@pytest.mark.parametrize(("shell", "says"), [("", "does not say"), ("/bin/tcsh", "no completion for 'tcsh'")])
def test_another_shell_is_refused_with_those_that_there_are(edgewatt, home, monkeypatch, shell, says):
    monkeypatch.setenv("SHELL", shell)

    code, _, err = edgewatt("completion", "install")

    assert code == Exit.USAGE
    assert says in err
    assert "bash|zsh|fish" in err
    assert list(home.iterdir()) == []


def test_a_file_that_cannot_be_written_is_said(edgewatt, home):
    (home / ".local").write_text("in the way")

    code, _, err = edgewatt("completion", "install")

    assert code == Exit.FAILED
    assert "completion show" in err


def typed(environment, keys, until, within_s=60):
    """Type `keys` into an interactive bash and return its screen once `until` is there."""
    controller, terminal = pty.openpty()
    argv = ["bash", "--noprofile", "-i"]
    process = subprocess.Popen(argv, stdin=terminal, stdout=terminal, stderr=terminal, env=environment, close_fds=True)
    os.close(terminal)
    screen, begun = "", time.monotonic()
    try:
        os.write(controller, b"echo rea''dy\n")
        while "ready" not in screen and time.monotonic() - begun < within_s:
            if select.select([controller], [], [], 1)[0]:
                screen += os.read(controller, 4_096).decode(errors="replace")
        os.write(controller, keys.encode())
        while until not in screen and time.monotonic() - begun < within_s:
            if select.select([controller], [], [], 3)[0]:
                screen += os.read(controller, 4_096).decode(errors="replace")
            else:  # the controller was too slow for the first one, on a busy machine
                os.write(controller, b"\t")
        return screen
    finally:
        process.kill()
        process.wait()
        os.close(controller)


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_a_tab_in_a_real_bash_completes_an_id_and_a_tag_with_its_sign(edgewatt, home, fake):
    edgewatt("completion", "install", "--shell", "bash")
    program = home / "bin" / "edgewatt"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m controller.cli "$@"\n')
    program.chmod(0o755)
    environment = {"HOME": str(home), "PATH": f"{program.parent}:{os.environ['PATH']}", "TERM": "dumb"}
    environment |= {"EDGEWATT_CONTROLLER_URL": fake.url, "PYTHONPATH": str(ROOT), "PS1": "$ "}

    screen = typed(environment, "edgewatt devices show jet\t", "jetson-1")
    tagged = typed(environment, "edgewatt deploy m --to site=r\t", "site=roof")

    assert "edgewatt devices show jetson-1" in screen
    assert "edgewatt deploy m --to site=roof" in tagged
