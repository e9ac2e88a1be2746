"""Whether all parts are well: one finding for each, with what to do."""

import time
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from broker.errors import EdgeWattError
from controller.cli.bus_checkup import bus
from controller.cli.console import Console
from controller.cli.finding import Finding, Verdict
from controller.cli.settings import origin

SKEW_WARN_S, SKEW_FAIL_S = 2.0, 60.0
LOW_MB = 1_000.0


def checkup(console: Console) -> list[Finding]:
    """Return a finding for each part, the controller's first."""
    try:
        asked_at = time.time()
        status = console.client.status()
        answered_at = time.time()
    except EdgeWattError as error:
        verdict: Verdict = "warn" if error.code == "standby" else "fail"
        return [Finding(what="controller", verdict=verdict, says=error.message, hint=error.hint), *bus(_url(None), 0)]
    found = [_controller(status), _versions(status), _clock(status, asked_at, answered_at)]
    return [*found, _link(status), *_store(status), *_fleet(console), *bus(_url(status), status["devices"]["total"])]


def _controller(status: dict[str, Any]) -> Finding:
    uptime_s = status["controller"].get("uptime_s") or 0.0
    role = status["controller"].get("role") or "of an older version"
    return Finding(what="controller", verdict="ok", says=f"answers, {role}, up for {uptime_s:,.0f} s")


def _versions(status: dict[str, Any]) -> Finding:
    ours, theirs = version("edgewatt"), status["controller"]["version"]
    if ours == theirs:
        return Finding(what="versions", verdict="ok", says=f"controller and command line {ours}")
    said = f"command line {ours}, controller {theirs}"
    return Finding(what="versions", verdict="warn", says=said, hint="install the same version of edgewatt on both")


def _clock(status: dict[str, Any], asked_at: float, answered_at: float) -> Finding:
    controller = status["controller"]
    then = controller["started_at"] + controller["uptime_s"]
    skew_s = max(asked_at - then, then - answered_at, 0.0)
    verdict: Verdict = "ok" if skew_s < SKEW_WARN_S else "warn" if skew_s < SKEW_FAIL_S else "fail"
    hint = "" if verdict == "ok" else "synchronise both clocks (NTP); deadlines and telemetry are judged by them"
    return Finding(what="clock", verdict=verdict, says=f"{skew_s:.1f} s from the controller's", hint=hint)


def _link(status: dict[str, Any]) -> Finding:
    broker = status["broker"]
    if broker["connected"]:
        return Finding(
            what="controller to broker", verdict="ok", says=f"connected to {broker.get('node') or broker['url']}"
        )
    said = f"not connected to {broker['url']}: {broker.get('last_loss') or 'never was'}"
    hint = "start the broker, or give the controller another with --broker"
    return Finding(what="controller to broker", verdict="fail", says=said, hint=hint)


def _store(status: dict[str, Any]) -> Iterator[Finding]:
    fault, free_mb = status["controller"].get("storage_fault"), status["controller"].get("free_mb")
    if fault:
        hint = f"free some space in {status.get('data_dir')}, and look at its rights"
        yield Finding(what="store", verdict="fail", says=fault, hint=hint)
    else:
        yield Finding(
            what="store", verdict="ok", says=f"{status.get('database') or status.get('data_dir')} can be written"
        )
    if free_mb is not None:
        low = free_mb < LOW_MB
        hint = "free some space, or lower --artifact-quota-mb of the controller" if low else ""
        yield Finding(what="disk", verdict="warn" if low else "ok", says=f"{free_mb:,.0f} MB free", hint=hint)


def _fleet(console: Console) -> Iterator[Finding]:
    devices = console.client.devices(limit=1_000)["devices"]
    agents = sorted({each.get("agent_version") for each in devices if each.get("agent_version")})
    old = [each for each in agents if each != version("edgewatt")]
    said = f"{len(devices)} devices, agents {', '.join(agents) or 'of unknown version'}"
    hint = "update edgewatt on the devices that `edgewatt devices list --json` shows with another one" if old else ""
    yield Finding(what="agents", verdict="warn" if old else "ok", says=said, hint=hint)


def _url(status: dict[str, Any] | None) -> str:
    """Return the broker that we were told, else the controller's."""
    told, whence = origin("broker_url", None)
    return status["broker"]["url"] if status and whence == "default" else told
