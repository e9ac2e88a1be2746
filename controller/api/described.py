"""How REST is described: the one form of an error, and an example beside what is asked for most."""

from typing import Any

from controller.access.rules import needed

FAILURE: dict[str, Any] = {
    "description": (
        "What went wrong, in one form: `error` is a sentence, `code` is for programs, `hint` says what to do. "
        "401 nobody is signed in, 403 the role does not allow it, 429 too much at once (`Retry-After`), "
        "404 nothing of that name (the hint names the nearest), 409 refused by the gate or not possible now, "
        "413 too large, 422 a field that makes no sense (`field` names it), "
        "502 balena's fault or token, 503 no broker, hub or balena, 504 not in time, 507 a full disk."
    ),
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["success", "error", "code", "hint"],
                "properties": {
                    "success": {"type": "boolean", "const": False},
                    "error": {"type": "string"},
                    "code": {"type": "string"},
                    "hint": {"type": "string"},
                    "field": {"type": "string"},
                },
                "additionalProperties": True,
            },
            "example": {
                "success": False,
                "error": "no device 'pi5_1'",
                "code": "unknown_device",
                "hint": "did you mean pi5-1?",
            },
        }
    },
}
RESPONSES: dict[int | str, dict[str, Any]] = {"default": FAILURE}
"""What every path may answer besides what it promises."""

REQUESTS: dict[str, Any] = {
    "/api/deploy": {"bbb_ip": "192.168.1.100", "model_name": "mobilenetv3_small_075", "max_energy": 50.0},
    "/api/predict-energy": {
        "device_type": "jetson_nano_2gb",
        "model_name": "mobilenetv3_small_075",
        "params_m": 2.04,
        "gflops": 0.087,
        "gmacs": 0.044,
        "size_mb": 8.5,
        "latency_avg_s": 0.012,
        "throughput_iter_per_s": 83.3,
    },
    "/api/rollouts": {
        "model_name": "digits_cnn_s",
        "tags": ["line=A"],
        "max_energy_mj": 40.0,
        "waves": ["1", "10%", "100%"],
        "dry_run": True,
    },
    "/api/alerts/{alert_id}/ack": {"note": "a new fan is ordered"},
    "/api/alerts/{alert_id}/silence": {"for_s": 7200.0, "why": "its roof is being mended"},
    "/api/alerts/silences": {"device_id": "pi5-1", "rule": "too-hot", "for_s": 7200.0, "why": "heat test"},
    "/api/alerts/rules/preview": {"quantity": "temperature_c", "comparison": ">=", "threshold": 80.0, "for_s": 60.0},
    "/api/device/{deed}": {"device_id": "pi5-1"},
    "/api/devices/{device_id}/command": {"op": "ping"},
    "/api/models/promote": {"model_name": "digits_cnn_s", "version": "f389cfc9", "dry_run": True},
    "/api/models/download": {"model_name": "mobilenetv3_small_075", "format": "onnx", "wait": False},
    "/api/tokens": {"name": "ci", "role": "operator", "expires": "90d"},
    "/api/plan": {"energy_wh_per_day": 2.0, "min_top1": 90.0, "rate_hz": 1.0},
}
"""A body for each of the main paths; a test asks with every one of them."""


SCHEME = {"type": "http", "scheme": "bearer", "description": "A token of `edgewatt tokens create`: ew_…"}


def with_roles(document: dict[str, Any]) -> dict[str, Any]:
    """Return the OpenAPI `document` with how to sign in, and at each path which role that has to have."""
    document["components"]["securitySchemes"] = {"token": SCHEME}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            role = needed(method.upper(), path)
            operation["security"] = [{"token": []}] if role else []
            operation["x-role"] = role.value if role else None
    return document


def with_examples(document: dict[str, Any]) -> dict[str, Any]:
    """Return the OpenAPI `document` with `REQUESTS` in it."""
    for path, example in REQUESTS.items():
        document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["example"] = example
    return document
