"""The REST API from the caller's side: one method per path, documents out, `broker.errors` raised.

Imports httpx and the contract only, so the CLI and the dashboard share it. A document is the JSON object that the
controller answered; its fields are described where the controller makes them.
"""

import ssl
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import quote

import httpx

from broker.errors import InvalidError, UnreachableError
from controller.client.access import Access
from controller.client.advice import Advice
from controller.client.alerts import Alerts
from controller.client.balena import Balena
from controller.client.devices import Devices
from controller.client.enrolment import Enrolment
from controller.client.errors import error_of, not_ours
from controller.client.exports import Exports
from controller.client.logs import Logs
from controller.client.models import ModelShelf
from controller.client.rollouts import Rollouts

Document = dict[str, Any]

_QUESTIONS = frozenset({"/api/predict-energy", "/api/plan", "/api/models/verify", "/api/alerts/rules/preview"})
"""What is asked with a body and changes nothing."""


class Client(Access, Devices, Enrolment, Exports, Advice, Alerts, Logs, ModelShelf, Rollouts, Balena):
    """A connection to one controller; safe to share between threads, reuses its sockets.

    Every method raises `UnreachableError` when nothing answers, and the class that the answer's `code` names otherwise.
    """

    def __init__(
        self,
        base_url: str,
        *,
        origin: Literal["cli", "dashboard"] = "cli",
        timeout: float = 10.0,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        ca_file: str = "",
    ) -> None:
        """Speak to `base_url` as `origin`, with `token` and `headers`; `timeout` bounds each request, seconds.

        `ca_file` (PEM) holds certificates that are believed besides the usual ones. Raises UnreachableError for an
        address that cannot be one, InvalidError for a token or a file that cannot.
        """
        self.base_url = base_url.rstrip("/")
        try:
            self._http = httpx.Client(
                base_url=self.base_url,
                headers={"X-EdgeWatt-Origin": origin} | _bearer(token) | dict(headers or {}),
                timeout=httpx.Timeout(timeout, connect=min(timeout, 2.0)),
                trust_env=False,
                verify=_trusting(ca_file) if ca_file else not self.base_url.lower().startswith("http:"),
            )
        except httpx.InvalidURL as error:
            raise self._unreachable(f"is no address: {error}") from error

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close the sockets."""
        self.close()

    def close(self) -> None:
        """Close the sockets."""
        self._http.close()

    def live(self) -> Document:
        """Say whether the controller's process answers."""
        return self._get("/livez")

    def ready(self) -> Document:
        """Say whether the controller can work: broker, store."""
        return self._get("/readyz")

    def status(self) -> Document:
        """Return the controller, its broker, device counts by health, message and deployment counts."""
        return self._get("/api/status")

    def deploy(
        self,
        device_id: str,
        model: str,
        *,
        max_energy_mj: float | None = None,
        max_latency_ms: float | None = None,
        when: Mapping[str, Any] | None = None,
        soak_s: float | None = None,
        policy: str | None = None,
        force: bool = False,
        reason: str = "",
        dry_run: bool = False,
    ) -> Document:
        """Ask for `model` on a device within `max_energy_mj` (mJ per inference); `dry_run` only asks the gate.

        `max_latency_ms` bounds the p95 measured there; `when` (soc_min_pct, charging, temp_max_c, window) is awaited.
        Raises `RefusedError` with the `verdict` among its facts when the gate says no.
        """
        body = {
            "device_id": device_id,
            "model_name": model,
            "max_energy_mj": max_energy_mj,
            "max_latency_ms": max_latency_ms,
            "when": when or None,
            "soak_s": soak_s,
            "policy": policy,
            "force": force or None,
            "reason": reason or None,
            "dry_run": dry_run or None,
        }
        return self._send("POST", "/api/deploy", {key: value for key, value in body.items() if value is not None})

    def deployments(self, *, open_only: bool = False, limit: int = 100, offset: int = 0, **sought: str) -> Document:
        """Return one page of deployments, newest first, `{total, deployments}`.

        `sought` is any of device_id, phase, q (a part of model or device), and sort.
        """
        only_open = "true" if open_only else ""
        return self._get("/api/deployments", open=only_open, limit=limit, offset=offset, **sought)

    def deployment(self, deployment_id: str) -> Document:
        """Return one deployment with its events under `deployment`."""
        return self._get(f"/api/deployments/{_segment(deployment_id)}")

    def cancel(self, deployment_id: str) -> Document:
        """End a deployment that still moves."""
        return self._send("POST", f"/api/deployments/{_segment(deployment_id)}/cancel", {})

    def predict_energy(self, payload: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> Document:
        """Predict one payload or a list of them."""
        return self._send("POST", "/api/predict-energy", payload)

    def ledger(self, *, device_type: str = "", device_id: str = "", limit: int = 100) -> Document:
        """Return predictions beside what devices reported, `{entries, summary, drift}`."""
        return self._get("/api/ledger", device_type=device_type, device_id=device_id, limit=limit)

    def refused_messages(self) -> Document:
        """Return the newest refused messages of nobody we know, and the counts of all."""
        return self._get("/api/messages/refused")

    def _get(self, path: str, **params: Any) -> Document:
        return _document(self._ask("GET", path, params=_given(**params)))

    def _get_patiently(self, path: str, timeout_s: float, **params: Any) -> Document:
        return _document(self._ask("GET", path, params=_given(**params), timeout=timeout_s))

    def _send(self, method: str, path: str, body: Any = None, *, timeout_s: float | None = None) -> Document:
        """Ask for a write, once more when the connection broke: by its key the controller does it once.

        What only asks has no key, so that nobody keeps its answer.
        """
        options: dict[str, Any] = ({"timeout": timeout_s} if timeout_s else {}) | {"json": body}
        if not _only_asks(path, body):
            options["headers"] = {"Idempotency-Key": uuid.uuid4().hex}
        try:
            with self._told():
                return _document(_sound(self._http.request(method, path, **options)))
        except UnreachableError as error:
            if not isinstance(error.__cause__, (httpx.NetworkError, httpx.RemoteProtocolError)):
                raise
        return _document(self._ask(method, path, **options))

    def _put(self, path: str, content: Iterable[bytes], size: int, timeout_s: float, **params: Any) -> Document:
        headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
        options = {"content": content, "headers": headers, "timeout": timeout_s}
        return _document(self._ask("PUT", path, params=_given(**params), **options))

    @contextmanager
    def _chunks(self, path: str, **params: Any) -> Iterator[Iterator[bytes]]:
        with self._told(), self._http.stream("GET", path, params=_given(**params)) as answer:
            if not answer.is_success:
                answer.read()
                raise error_of(answer)
            yield answer.iter_bytes()

    def _ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        with self._told():
            return _sound(self._http.request(method, path, **options))

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say in our words what keeps a question from being asked or answered."""
        try:
            yield
        except ValueError as error:  # JSON has no words for them
            hint = "NaN and infinities are no figures; leave a budget out for none"
            raise InvalidError(f"cannot be sent: {error}", hint=hint) from error
        except httpx.TimeoutException as error:
            raise self._unreachable("does not answer in time") from error
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise self._unreachable("cannot be reached") from error

    def _unreachable(self, how: str) -> UnreachableError:
        hint = "start one with `edgewatt up` (or `edgewatt demo`), or name another with EDGEWATT_CONTROLLER_URL"
        return UnreachableError(f"the controller at {self.base_url} {how}", hint=hint)


def _bearer(token: str | None) -> dict[str, str]:
    if not token:
        return {}
    if not (token.isascii() and token.isprintable()):
        raise InvalidError("the token is none", hint="it begins with ew_ and is one line", field="token")
    return {"Authorization": f"Bearer {token}"}


def _trusting(ca_file: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(ca_file)
    except (OSError, ssl.SSLError) as error:
        said = f"cannot read the certificates in {ca_file}: {error.strerror or error}"
        raise InvalidError(said, hint="a PEM file", field="ca_file") from None
    return context


class Answer(dict[str, Any]):
    """A document of an answer; a field that it lacks is an error in words."""

    def __missing__(self, field: str) -> Any:
        """Raise UnreachableError: whoever answered speaks another version."""
        hint = "is the controller of another version? `edgewatt doctor` shows both"
        raise UnreachableError(f"the controller's answer has no '{field}'", code="other_version", hint=hint)


def _segment(name: str) -> str:
    return quote(name, safe="")


def _given(**params: Any) -> dict[str, Any]:
    return {key: value for key, value in params.items() if value not in ("", None)}


def _document(answer: httpx.Response) -> Document:
    try:
        document = answer.json(object_hook=Answer)
    except ValueError as error:
        raise not_ours(answer) from error
    if not isinstance(document, dict):
        raise not_ours(answer)
    return document


def _only_asks(path: str, body: Any) -> bool:
    return path in _QUESTIONS or (isinstance(body, Mapping) and bool(body.get("dry_run")))


def _sound(answer: httpx.Response) -> httpx.Response:
    if not answer.is_success:
        raise error_of(answer)
    return answer
