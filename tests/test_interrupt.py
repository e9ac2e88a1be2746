"""Ctrl-C ends a program of ours without a trace, whenever it comes."""

import signal
import socket
import subprocess
import sys

import pytest

from broker.interrupt import INTERRUPTED, run
from controller.cli.exits import Exit

ENTRIES = (
    ("edge_agent.__main__", "edge_agent.program"),
    ("controller.__main__", "controller.program"),
    ("controller.cli", "controller.cli.app"),
)


def test_a_program_gives_its_exit_code(tmp_path, monkeypatch):
    (tmp_path / "a_program.py").write_text("def main(): return 3")
    monkeypatch.syspath_prepend(tmp_path)

    assert run("a_program:main") == 3


def test_ctrl_c_while_a_program_is_imported_is_an_exit_code(tmp_path, monkeypatch):
    (tmp_path / "interrupted_program.py").write_text("raise KeyboardInterrupt")
    monkeypatch.syspath_prepend(tmp_path)

    assert run("interrupted_program:main") == INTERRUPTED == Exit.INTERRUPTED


@pytest.mark.parametrize(("entry", "program"), ENTRIES)
def test_what_is_imported_before_it_is_next_to_nothing(entry, program):
    code = f"import sys; before = set(sys.modules); import {entry}; print(*set(sys.modules) - before)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert program not in loaded
    assert {name.partition(".")[0] for name in loaded} <= {program.partition(".")[0], "broker"}


def test_a_person_who_does_not_wait_for_a_broker_that_says_nothing_sees_no_trace(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"mqtt://127.0.0.1:{silent.getsockname()[1]}"
        words = ["-m", "edge_agent", "check", "--data", str(tmp_path), "--broker", url]
        with subprocess.Popen(
            [sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            silent.settimeout(30)
            with silent.accept()[0]:
                process.send_signal(signal.SIGINT)
                said = process.communicate(timeout=30)[0]

    assert "Traceback" not in said
    assert process.returncode == INTERRUPTED
