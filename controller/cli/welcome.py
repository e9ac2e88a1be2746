"""What the demo says when it is up: one address, and what to type first."""

import shlex
from pathlib import Path
from urllib.parse import urlsplit

from controller.cli.demo import Report
from controller.cli.demo_fleet import Trial
from controller.security.folder import PEOPLE_PORT, Security

MQTT_PORT = 1883
CONTROLLER_URL = "http://127.0.0.1:5000"
SECURED_URL = "https://localhost:5000"
"""The controller in the settings that `edgewatt init` writes."""


def welcome(report: Report) -> str:
    """Return the text that a person reads when everything is up."""
    address = report.dashboard_url or f"{report.controller_url}/docs"
    parts = [f"EdgeWatt is up: {address}", *_keys(report), *_tries(report), "Ctrl-C ends everything."]
    return "\n\n".join(parts)


def by_hand(trial: Trial, device_id: str, report: Report) -> str:
    """Return the mosquitto_pub line that sends `trial` to `device_id`; where users are, its own stands in a file."""
    port = report.people_port or urlsplit(report.broker_url).port
    where = "" if port == (PEOPLE_PORT if report.security else MQTT_PORT) else f" -p {port}"
    user = f"XDG_CONFIG_HOME={Security(Path(report.security)).mqtt_options} " if report.security else ""
    return f"{user}mosquitto_pub{where} -q 1 -t device/{device_id}/cmd -m {shlex.quote(trial.payload())}"


def _keys(report: Report) -> list[str]:
    """Return how a person signs in, and lets a device in."""
    if report.security is None:
        return []
    token = Security(Path(report.security)).admin_token
    return [f"Sign in with the token in {token}", f"Let a device in:\n  {_prefix(report)}edgewatt devices enroll ID"]


def _prefix(report: Report) -> str:
    """Return the variables by which `edgewatt` finds this controller."""
    if report.security is None:
        return "" if report.controller_url == CONTROLLER_URL else f"EDGEWATT_CONTROLLER_URL={report.controller_url} "
    settings = f"EDGEWATT_CONFIG={Security(Path(report.security)).client_settings} "
    same = report.controller_url == SECURED_URL
    return settings if same else f"{settings}EDGEWATT_CONTROLLER_URL={report.controller_url} "


def _tries(report: Report) -> list[str]:
    if not report.live:
        return []
    prefix = _prefix(report)
    see = f"See the fleet:\n  {prefix}edgewatt devices list"
    if (trial := report.trial) is None:
        return [see]
    fits = (
        f"Deploy by hand: {trial.model} within {trial.budget_mj:g} mJ fits on {trial.fits_on}\n"
        f"  {by_hand(trial, trial.fits_on, report)}"
    )
    words = ["edgewatt", "deploy", trial.model, "--to", trial.refused_on, "--energy-mj", f"{trial.budget_mj:g}"]
    refused = (
        f"The same budget is refused on {trial.refused_on}, with what would fit\n"
        f"  {by_hand(trial, trial.refused_on, report)}\n"
        f"  {prefix}{shlex.join(words)}"
    )
    return [see, fits, refused]
