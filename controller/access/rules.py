"""Which role each path of REST needs: one table, from which the answer and the reference page are made; pure."""

from starlette.routing import compile_path

from controller.access.roles import Role

OPEN = "open"
"""The word for a path that needs nobody to be signed in."""

READS = "GET"
WRITE = "POST"
SOCKET = "WS"

RULES: dict[tuple[str, str], Role | None] = {
    (READS, "/livez"): None,
    (READS, "/readyz"): None,
    (READS, "/docs"): None,
    (READS, "/docs/oauth2-redirect"): None,
    (READS, "/redoc"): None,
    (READS, "/openapi.json"): None,
    (READS, "/api/whoami"): Role.VIEWER,
    (READS, "/metrics"): Role.VIEWER,
    (READS, "/api/status"): Role.VIEWER,
    (READS, "/api/messages/refused"): Role.VIEWER,
    (READS, "/models/sha256/{sha256}"): Role.VIEWER,
    (READS, "/models/{artifact}"): Role.VIEWER,
    (READS, "/api/models/all"): Role.VIEWER,
    (READS, "/api/models/popular"): Role.VIEWER,
    (READS, "/api/models/recommended"): Role.VIEWER,
    (READS, "/api/models/named/{name}"): Role.VIEWER,
    (READS, "/api/models/named/{name}/versions"): Role.VIEWER,
    (READS, "/api/models/pareto"): Role.VIEWER,
    (READS, "/api/models/explain"): Role.VIEWER,
    (WRITE, "/api/models/analyze"): Role.OPERATOR,
    ("PUT", "/api/models/analyze"): Role.OPERATOR,
    ("PUT", "/api/models/analyze/{filename}"): Role.OPERATOR,
    (WRITE, "/api/models/upload"): Role.OPERATOR,
    ("PUT", "/api/models/upload"): Role.OPERATOR,
    ("PUT", "/api/models/upload/{filename}"): Role.OPERATOR,
    (WRITE, "/api/models/download"): Role.OPERATOR,
    (WRITE, "/api/models/convert"): Role.OPERATOR,
    (WRITE, "/api/models/verify"): Role.OPERATOR,
    (WRITE, "/api/models/archive"): Role.OPERATOR,
    (WRITE, "/api/models/promote"): Role.OPERATOR,
    (READS, "/api/jobs"): Role.VIEWER,
    (READS, "/api/jobs/{job_id}"): Role.VIEWER,
    (WRITE, "/api/jobs/{job_id}/cancel"): Role.OPERATOR,
    (WRITE, "/api/predict-energy"): Role.VIEWER,
    (WRITE, "/api/plan"): Role.VIEWER,
    (READS, "/api/energy/thresholds"): Role.VIEWER,
    (READS, "/api/energy/metadata"): Role.VIEWER,
    (READS, "/api/ledger"): Role.VIEWER,
    (READS, "/api/devices"): Role.VIEWER,
    (READS, "/api/devices/{device_id}"): Role.VIEWER,
    (READS, "/api/devices/{device_id}/telemetry"): Role.VIEWER,
    (READS, "/api/devices/{device_id}/battery"): Role.VIEWER,
    (READS, "/api/devices/{device_id}/calibration"): Role.VIEWER,
    (WRITE, "/api/devices/{device_id}/calibrate"): Role.OPERATOR,
    (WRITE, "/api/devices/{device_id}/calibrate/cancel"): Role.OPERATOR,
    (WRITE, "/api/devices/{device_id}/calibrate/undo"): Role.OPERATOR,
    (WRITE, "/api/devices/{device_id}/command"): Role.OPERATOR,
    (WRITE, "/api/devices/{device_id}/approve"): Role.ADMIN,
    (WRITE, "/api/devices/{device_id}/enroll"): Role.ADMIN,
    (WRITE, "/api/devices/{device_id}/revoke"): Role.ADMIN,
    (WRITE, "/api/enroll"): None,
    (READS, "/api/enroll/ca"): None,
    ("DELETE", "/api/devices/{device_id}"): Role.ADMIN,
    (READS, "/api/telemetry/courses"): Role.VIEWER,
    (READS, "/api/commands/{command_id}"): Role.VIEWER,
    (READS, "/api/device/metrics"): Role.VIEWER,
    (WRITE, "/api/device/{deed}"): Role.OPERATOR,
    (WRITE, "/api/deploy"): Role.OPERATOR,
    (WRITE, "/api/deploy/best"): Role.OPERATOR,
    (READS, "/api/deployments"): Role.VIEWER,
    (READS, "/api/deployments/{deployment_id}"): Role.VIEWER,
    (WRITE, "/api/deployments/{deployment_id}/cancel"): Role.OPERATOR,
    (READS, "/api/rollouts"): Role.VIEWER,
    (WRITE, "/api/rollouts"): Role.OPERATOR,
    (READS, "/api/rollouts/{rollout_id}"): Role.VIEWER,
    (WRITE, "/api/rollouts/{rollout_id}/pause"): Role.OPERATOR,
    (WRITE, "/api/rollouts/{rollout_id}/resume"): Role.OPERATOR,
    (WRITE, "/api/rollouts/{rollout_id}/abort"): Role.OPERATOR,
    (WRITE, "/api/rollouts/{rollout_id}/retry"): Role.OPERATOR,
    (READS, "/api/logs"): Role.VIEWER,
    (READS, "/api/logs/kinds"): Role.VIEWER,
    (READS, "/api/logs/export"): Role.VIEWER,
    (READS, "/api/logs/archives"): Role.VIEWER,
    (READS, "/api/logs/archives/{name}"): Role.VIEWER,
    (WRITE, "/api/logs/clear"): Role.ADMIN,
    (READS, "/api/export/devices"): Role.VIEWER,
    (READS, "/api/export/deployments"): Role.VIEWER,
    (READS, "/api/export/rollouts"): Role.VIEWER,
    (READS, "/api/export/models"): Role.VIEWER,
    (READS, "/api/export/ledger"): Role.VIEWER,
    (READS, "/api/export/telemetry"): Role.VIEWER,
    (READS, "/api/views"): Role.VIEWER,
    ("PUT", "/api/views/{name}"): Role.OPERATOR,
    ("DELETE", "/api/views/{name}"): Role.OPERATOR,
    (READS, "/api/alerts"): Role.VIEWER,
    (WRITE, "/api/alerts/{alert_id}/ack"): Role.OPERATOR,
    (WRITE, "/api/alerts/{alert_id}/silence"): Role.OPERATOR,
    (READS, "/api/alerts/silences"): Role.VIEWER,
    (WRITE, "/api/alerts/silences"): Role.OPERATOR,
    ("DELETE", "/api/alerts/silences/{silence_id}"): Role.OPERATOR,
    (READS, "/api/alerts/rules"): Role.VIEWER,
    (WRITE, "/api/alerts/rules/preview"): Role.VIEWER,
    (READS, "/api/alerts/rules/{name}"): Role.VIEWER,
    ("PUT", "/api/alerts/rules/{name}"): Role.OPERATOR,
    ("DELETE", "/api/alerts/rules/{name}"): Role.OPERATOR,
    (READS, "/api/balena/devices"): Role.VIEWER,
    (READS, "/api/balena/releases"): Role.VIEWER,
    (READS, "/api/balena/devices/{uuid}/logs"): Role.VIEWER,
    (WRITE, "/api/balena/deploy"): Role.OPERATOR,
    (READS, "/api/tokens"): Role.ADMIN,
    (WRITE, "/api/tokens"): Role.ADMIN,
    ("DELETE", "/api/tokens/{name}"): Role.ADMIN,
    (SOCKET, "/ws/telemetry"): Role.VIEWER,
}
"""The role for a method and a path template; None: nobody has to be signed in. What is not here needs an admin."""

PREDICTIONS = frozenset({"/api/predict-energy", "/api/plan", "/api/models/pareto", "/api/models/explain"})
"""Paths that compute predictions: they have a limit of their own."""

_TEMPLATES = [
    (method, compile_path(template)[0], template, needed)
    for (method, template), needed in RULES.items()
    if "{" in template
]


def needed(method: str, path: str) -> Role | None:
    """Return the role that `method` (HEAD is GET, WS a websocket) on `path` needs, None for what is open to all."""
    asked = READS if method == "HEAD" else method
    if (asked, path) in RULES:
        return RULES[asked, path]
    for known, pattern, _, role in _TEMPLATES:
        if known == asked and pattern.match(path):
            return role
    return Role.ADMIN
