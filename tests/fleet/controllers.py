"""A real controller as a process, which a test may kill and bring back."""

import sys
from pathlib import Path

import httpx

from controller.cli.readiness import wait_until
from tests.fleet.brokers import free_port
from tests.fleet.forks import begun
from tests.stocked import stocked


class RunningController:
    """`python -m controller` (or a launcher in its place) on a free port, with its own data folder."""

    def __init__(
        self, broker_url, folder, *, launcher=None, environment=None, arguments=(), ready="/readyz", begin=begun
    ):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder = Path(folder)
        self.arguments = [
            *("--broker", broker_url, "--port", str(self.port), "--data", str(folder)),
            *("--probe-inferences", "5", "--soak-s", "0", *arguments),
        ]
        self.environment = environment
        self.ready = ready
        self._begin = begin
        self._log = self.folder / f"controller-{self.port}.log"
        self.folder.mkdir(parents=True, exist_ok=True)
        stocked(self.folder)
        self.start(launcher)

    @property
    def log(self):
        return self._log.read_text(errors="replace")

    @property
    def alive(self):
        return self._process.poll() is None

    def start(self, launcher=None):
        argv = [sys.executable, *(launcher or ("-m", "controller")), *self.arguments]
        self._process = self._begin(argv, self._log, self.environment)
        if not wait_until(lambda: self.is_ready(self.ready), within_s=60, alive=lambda: self.alive):
            self.kill()
            raise AssertionError(f"the controller did not start: {self.log[-3000:]}")

    def kill(self):
        """End it at once, as a power cut would."""
        if self.alive:
            self._process.kill()
        self._process.wait(timeout=20)

    def stop(self):
        """End it politely and return its exit code."""
        self._process.terminate()
        return self._process.wait(timeout=20)

    def wait_for_death(self):
        """Return the exit code of a process that is about to end by itself."""
        return self._process.wait(timeout=30)

    @property
    def headers(self):
        """Who asks: the first administrator, where `edgewatt init` made its token."""
        token = self.folder / "security" / "admin.token"
        return {"Authorization": f"Bearer {token.read_text().strip()}"} if token.exists() else {}

    def get(self, path, **query):
        return self._ask("GET", path, params=query)

    def post(self, path, **body):
        return self._ask("POST", path, json=body)

    def _ask(self, method, path, **what):
        with httpx.Client(verify=False, trust_env=False, timeout=10) as http:  # certificates take 30 ms to read
            return http.request(method, self.url + path, headers=self.headers, **what)

    def phase(self, deployment_id):
        return self.get(f"/api/deployments/{deployment_id}").json().get("deployment", {}).get("phase")

    def is_ready(self, path="/readyz"):
        """Return whether it says so; the one that stands by lives, and is not ready."""
        try:
            return self.get(path).status_code == 200
        except httpx.HTTPError:
            return False
