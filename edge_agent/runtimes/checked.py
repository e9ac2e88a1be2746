"""Proves a runtime by running it in a process of its own: a wrong build dies there, and the agent stays small."""

import signal
import subprocess
import sys

from broker.errors import RuntimeUnavailableError

CHECK_TIMEOUT_S = 60.0


def version_by_running(package: str, module: str) -> str:
    """Return the version that `module` prints after it ran a model; raises RuntimeUnavailableError with the reason."""
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", module], capture_output=True, text=True, timeout=CHECK_TIMEOUT_S, check=False
        )
    except (subprocess.TimeoutExpired, OSError) as error:
        raise RuntimeUnavailableError(f"{package} did not answer: {error}") from error
    if done.returncode == 0:
        return done.stdout.strip()
    raise RuntimeUnavailableError(reason(package, done.returncode, done.stderr))


def reason(package: str, returncode: int, stderr: str) -> str:
    """Return in words why a check ended with `returncode`."""
    if returncode < 0:
        return f"{package} dies with {signal.Signals(-returncode).name}: it is built for another processor"
    last = stderr.strip().splitlines()[-1] if stderr.strip() else f"exit code {returncode}"
    if last.startswith("ModuleNotFoundError"):
        return f"{package} is not installed"
    return f"{package} does not run: {last[:200]}"
