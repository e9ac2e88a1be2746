"""Runs a runtime in a process of its own: a wrong build or a hostile file dies there, and the agent stays small."""

import signal
import subprocess
import sys

from broker.errors import RuntimeUnavailableError

CHECK_TIMEOUT_S = 60.0

NUMPY_1 = ("_ARRAY_API not found", "compiled using NumPy 1.x", "returned a result with an exception set")
"""How a package that was built against NumPy 1 fails under NumPy 2."""


def apart(module: str, *arguments: str, timeout_s: float = CHECK_TIMEOUT_S) -> subprocess.CompletedProcess[str]:
    """Run one of our modules in a process of its own; raises TimeoutExpired, OSError."""
    return subprocess.run(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-m", module, *arguments], capture_output=True, text=True, timeout=timeout_s, check=False
    )


def said_by_running(package: str, module: str, *arguments: str) -> str:
    """Return what `module` prints after it ran a model; raises RuntimeUnavailableError with the reason."""
    try:
        done = apart(module, *arguments)
    except (subprocess.TimeoutExpired, OSError) as error:
        raise RuntimeUnavailableError(f"{package} did not answer: {error}") from error
    if done.returncode == 0:
        return done.stdout.strip()
    raise RuntimeUnavailableError(reason(package, done.returncode, done.stderr))


def reason(package: str, returncode: int, stderr: str) -> str:
    """Return in words why a check ended with `returncode`."""
    if returncode < 0:
        return f"{package} dies with {signal.Signals(-returncode).name}: it is built for another processor"
    if any(sign in stderr for sign in NUMPY_1):
        return f"{package} is built for NumPy 1, and NumPy 2 is installed"
    last = last_line(stderr) or f"exit code {returncode}"
    if last.startswith("ModuleNotFoundError"):
        missing = last.partition("'")[2].rstrip("'").partition(".")[0]
        return f"{package} is not installed" if missing != "numpy" else f"{package} needs NumPy, which is not installed"
    return f"{package} does not run: {last[:200]}"


def first_line(error: BaseException) -> str:
    """Return the first line of what a library says, or the name of its error when it says nothing."""
    return next(iter(str(error).splitlines()), "")[:200] or type(error).__name__


def last_line(stderr: str) -> str:
    """Return the last line that says something."""
    return next((line.strip() for line in reversed(stderr.splitlines()) if line.strip()), "")
