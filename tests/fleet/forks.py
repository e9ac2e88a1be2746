"""Programs of ours as processes that begin as copies of one which has imported everything: 50 ms instead of 1.4 s."""

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import types
from contextlib import contextmanager

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    [
        *("controller.program", "controller.worker", "broker.embedded", "edge_agent.program"),
        *("tests.dying_backup", "tests.fleet.killing_agent"),
    ]
)


def begun(argv, log, environment=None):
    """Begin a program that writes to the file `log`: a copy where this interpreter runs it, or else a real start."""
    log.touch()
    if argv[0] == sys.executable:
        return Forked(argv[1:], log, environment)
    with log.open("ab") as output:
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment)


class Forked:
    """What `subprocess.Popen` is to those who wait for it or end it; `words` come after the interpreter's name."""

    def __init__(self, words, log, environment=None):
        self.args = words
        told = (words, str(log), dict(os.environ if environment is None else environment))
        self._process = FORKS.Process(target=_live, args=told, daemon=True)
        with _nothing_to_run_again():
            self._process.start()

    @property
    def pid(self):
        return self._process.pid

    @property
    def returncode(self):
        return self._process.exitcode

    def poll(self):
        return self._process.exitcode

    def wait(self, timeout=None):
        self._process.join(timeout)
        if self.poll() is None:
            raise subprocess.TimeoutExpired(self.args, timeout)
        return self.poll()

    def kill(self):
        self.send_signal(signal.SIGKILL)

    def terminate(self):
        self.send_signal(signal.SIGTERM)

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)


@contextmanager
def _nothing_to_run_again():
    """Let a copy begin without our main module, which it would run first: a page of the dashboard, after its tests."""
    main, sys.modules["__main__"] = sys.modules["__main__"], types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _live(words, log, environment):
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for number in (sys.stdout.fileno(), sys.stderr.fileno()):
        os.dup2(output, number)
    os.environ.clear()
    os.environ.update(environment)
    if words[0] != "-m":
        sys.argv = list(words)
        runpy.run_path(words[0], run_name="__main__")
        return
    _, name, *sys.argv[1:] = words
    for imported in (name, f"{name}.__main__"):
        sys.modules.pop(imported, None)  # it is run anew, as in a process of its own
    runpy.run_module(name, run_name="__main__", alter_sys=True)
