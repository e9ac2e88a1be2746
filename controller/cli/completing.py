"""What a shell is told when Tab is pressed: names that the controller knows, within a second, or none and no word."""

import threading
from collections.abc import Callable, Iterable
from typing import Any

import typer

from broker.errors import EdgeWattError
from controller.cli.settings import setting, token

WITHIN_S = 0.8
MOST = 200
"""As many names are asked for; who wants another one types a letter more."""

Known = list[tuple[str, str]]
"""Names, each with a few words about it."""
Completer = Callable[[typer.Context, str], Known]


def devices(context: typer.Context, incomplete: str) -> Known:
    """Return ids of devices, with their health."""
    found = _asked(context, "/api/devices", "devices", q=incomplete)
    return _beginning([(each["id"], f"{each['health']}, {each['device_type']}") for each in found], incomplete)


def targets(context: typer.Context, incomplete: str) -> Known:
    """Return ids of devices, and tags as KEY=VALUE with how many devices have them."""
    key = incomplete.partition("=")[0]
    found = _asked(context, "/api/devices", "devices")
    tags = [f"{name}={value}" for each in found for name, value in each["tags"].items() if name.startswith(key)]
    counted = [(tag, f"a tag of {tags.count(tag)}") for tag in dict.fromkeys(sorted(tags))]
    named = [(each["id"], f"{each['health']}, {each['device_type']}") for each in found]
    return _beginning(counted + named, incomplete)


def models(context: typer.Context, incomplete: str) -> Known:
    """Return names of models: those in the store, and what could be made once something is typed."""
    stored = {} if incomplete else {"stored": "true"}
    found = _asked(context, "/api/models/all", "models", q=incomplete, **stored)
    return _beginning([(each["name"], "stored" if each["stored"] else "can be made") for each in found], incomplete)


def rollouts(context: typer.Context, incomplete: str) -> Known:
    """Return ids of rollouts, the newest first."""
    found = _asked(context, "/api/rollouts", "rollouts")
    return _beginning([(each["id"], f"{each['model']}, {each['phase']}") for each in found], incomplete)


def deployments(context: typer.Context, incomplete: str) -> Known:
    """Return ids of deployments, the newest first."""
    found = _asked(context, "/api/deployments", "deployments")
    return _beginning(
        [(each["id"], f"{each['model']} on {each['device_id']}, {each['phase']}") for each in found], incomplete
    )


def jobs(context: typer.Context, incomplete: str) -> Known:
    """Return ids of the workshop's jobs, the newest first."""
    found = _asked(context, "/api/jobs", "jobs")
    return _beginning([(each["id"], f"{each['model']}, {each['state']}") for each in found], incomplete)


def alerts(context: typer.Context, incomplete: str) -> Known:
    """Return ids of alerts that are open, the worst first."""
    found = _asked(context, "/api/alerts", "alerts")
    return _beginning([(each["id"], f"{each['severity']}, {each['condition']}") for each in found], incomplete)


def alert_rules(context: typer.Context, incomplete: str) -> Known:
    """Return names of the rules of alerts."""
    found = _asked(context, "/api/alerts/rules", "rules")
    return _beginning([(each["name"], each["condition"]) for each in found], incomplete)


def quantities(context: typer.Context, incomplete: str) -> Known:
    """Return what a rule can watch."""
    found = _asked(context, "/api/alerts/rules", "quantities")
    return _beginning([(each["name"], each["says"]) for each in found], incomplete)


def kinds(context: typer.Context, incomplete: str) -> Known:
    """Return the types of events."""
    found = _asked(context, "/api/logs/kinds", "kinds")
    return _beginning([(each["type"], each["says"]) for each in found], incomplete)


def _quiet(complete: Completer) -> Completer:
    """Return what completes nothing when the answer has not the shape of a controller's."""

    def completed(context: typer.Context, incomplete: str) -> Known:
        try:
            return complete(context, incomplete)
        except (LookupError, TypeError, AttributeError):
            return []

    return completed


_BY_NAMES: tuple[tuple[tuple[str, ...], Completer], ...] = (
    (("device", "board", "devices"), devices),
    (("to",), targets),
    (("model", "models"), models),
    (("rollout",), rollouts),
    (("deployment",), deployments),
    (("job",), jobs),
    (("kind",), kinds),
    (("alert",), alerts),
    (("rule",), alert_rules),
    (("quantity",), quantities),
)
COMPLETERS = {name: _quiet(complete) for names, complete in _BY_NAMES for name in names}
"""What completes an argument or option, by the name that its function gives it."""


def _beginning(known: Iterable[tuple[str, str]], incomplete: str) -> Known:
    return [(name, says) for name, says in known if name.startswith(incomplete)]


def _asked(context: typer.Context, path: str, what: str, **query: str) -> list[dict[str, Any]]:
    """Return what the controller lists; nothing when it does not answer soon, or something else does."""
    found: list[dict[str, Any]] = []
    given = context.params.get("controller_url")

    def ask() -> None:
        from http.client import HTTPException  # noqa: PLC0415 - loaded when a shell asks

        try:
            answer = _get(setting("controller_url", given), path, {"limit": str(MOST)} | query)
            found.extend(each for each in answer[what] if isinstance(each, dict))
        except (OSError, ValueError, LookupError, TypeError, HTTPException, EdgeWattError):
            return

    asking = threading.Thread(target=ask, daemon=True)  # names are resolved there, too, for which there is no timeout
    asking.start()
    asking.join(WITHIN_S)
    return list(found)


def _get(url: str, path: str, query: dict[str, str]) -> Any:
    import json  # noqa: PLC0415 - loaded when a shell asks, all four
    import ssl  # noqa: PLC0415
    from http.client import HTTPConnection, HTTPSConnection  # noqa: PLC0415
    from urllib.parse import quote, urlencode, urlsplit  # noqa: PLC0415

    where = urlsplit(url)
    if where.scheme == "https":
        trust = ssl.create_default_context(cafile=setting("controller_ca_file", None) or None)
        connection: HTTPConnection = HTTPSConnection(where.hostname or "", where.port, timeout=WITHIN_S, context=trust)
    else:
        connection = HTTPConnection(where.hostname or "", where.port, timeout=WITHIN_S)
    try:
        asked = f"{where.path.rstrip('/')}{path}?{urlencode(query, quote_via=quote)}"
        secret = token()[0]
        signed_in = {"Authorization": f"Bearer {secret}"} if secret else {}
        connection.request("GET", asked, headers={"X-EdgeWatt-Origin": "cli"} | signed_in)
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()
