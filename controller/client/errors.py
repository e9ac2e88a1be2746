"""From an answer that is an error to the class of `broker.errors` that it means."""

import httpx

from broker.errors import (
    AccessError,
    ArtifactError,
    ConflictError,
    EdgeWattError,
    InvalidError,
    LinkError,
    NotFoundError,
    RefusedError,
    RuntimeUnavailableError,
    StorageError,
    UnreachableError,
    WireError,
)
from controller.client.balena import AWAY as BALENA_AWAY

_KINDS: tuple[type[EdgeWattError], ...] = (
    WireError,
    LinkError,
    InvalidError,
    NotFoundError,
    ConflictError,
    RefusedError,
    ArtifactError,
    StorageError,
    RuntimeUnavailableError,
    AccessError,
)
_BY_CODE: dict[str, type[EdgeWattError]] = {kind.code: kind for kind in _KINDS} | {
    "database_unreachable": StorageError,
    "standby": UnreachableError,
    "no_prediction": RefusedError,
    "no_format": RefusedError,
    "local_policy": RefusedError,
    **dict.fromkeys(BALENA_AWAY, UnreachableError),
    "unknown_model": NotFoundError,
    "unknown_device": NotFoundError,
    **dict.fromkeys(("foreign_file", "too_large", "too_slow", "upload_broken", "upload_stalled"), ArtifactError),
}
_NOT_MADE = ("unsupported_operator", "conversion_failed", "golden_mismatch", "bad_result", "no_weights")
_BY_CODE |= dict.fromkeys((*_NOT_MADE, "worker_died", "worker_failed", "interrupted"), ArtifactError)
_BY_STATUS: dict[int, type[EdgeWattError]] = {
    400: InvalidError,
    401: AccessError,
    403: AccessError,
    404: NotFoundError,
    409: ConflictError,
    422: InvalidError,
    429: AccessError,
    507: StorageError,
}


def error_of(answer: httpx.Response) -> EdgeWattError:
    """Return what the controller says went wrong, as the class that its code or status names."""
    try:
        facts = answer.json()
    except ValueError:
        return not_ours(answer)
    if not isinstance(facts, dict) or "error" not in facts:
        return not_ours(answer)
    said = {"success", "error", "code", "hint"}
    code = str(facts.get("code") or "")
    kind = _BY_CODE.get(code) or _BY_STATUS.get(answer.status_code, EdgeWattError)
    rest = {key: value for key, value in facts.items() if key not in said}
    return kind(str(facts["error"]), code=code, hint=str(facts.get("hint") or ""), **rest)


def not_ours(answer: httpx.Response) -> UnreachableError:
    """Return that somebody else answered."""
    where = f"{answer.url.scheme}://{answer.url.netloc.decode()}"
    return UnreachableError(
        f"{where} answered {answer.status_code}, but not as a controller does",
        hint="is another program on this port? set EDGEWATT_CONTROLLER_URL to the controller's address",
    )
