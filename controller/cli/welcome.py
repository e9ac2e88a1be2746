"""What the demo says when it is up: one address, and what to type first."""

import shlex
from urllib.parse import urlsplit

from controller.cli.demo import Report
from controller.cli.demo_fleet import Trial

MQTT_PORT = 1883
CONTROLLER_URL = "http://127.0.0.1:5000"


def welcome(report: Report) -> str:
    """Return the text that a person reads when everything is up."""
    address = report.dashboard_url or f"{report.controller_url}/docs"
    parts = [f"EdgeWatt is up: {address}", *_tries(report), "Ctrl-C ends everything."]
    return "\n\n".join(parts)


def by_hand(trial: Trial, device_id: str, broker_url: str) -> str:
    """Return the mosquitto_pub line that sends `trial` to `device_id`."""
    port = urlsplit(broker_url).port
    where = "" if port in (None, MQTT_PORT) else f" -p {port}"
    return f"mosquitto_pub{where} -q 1 -t device/{device_id}/cmd -m {shlex.quote(trial.payload())}"


def _tries(report: Report) -> list[str]:
    if not report.live:
        return []
    prefix = "" if report.controller_url == CONTROLLER_URL else f"EDGEWATT_CONTROLLER_URL={report.controller_url} "
    see = f"See the fleet:\n  {prefix}edgewatt devices list"
    if (trial := report.trial) is None:
        return [see]
    fits = (
        f"Deploy by hand: {trial.model} within {trial.budget_mj:g} mJ fits on {trial.fits_on}\n"
        f"  {by_hand(trial, trial.fits_on, report.broker_url)}"
    )
    words = ["edgewatt", "deploy", trial.model, "--to", trial.refused_on, "--energy-mj", f"{trial.budget_mj:g}"]
    refused = (
        f"The same budget is refused on {trial.refused_on}, with what would fit\n"
        f"  {by_hand(trial, trial.refused_on, report.broker_url)}\n"
        f"  {prefix}{shlex.join(words)}"
    )
    return [see, fits, refused]
