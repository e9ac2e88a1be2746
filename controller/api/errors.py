"""Errors as answers: one form, one table from class to status."""

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

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
from broker.wire import document

logger = logging.getLogger(__name__)

STATUS_OF: dict[type[EdgeWattError], int] = {
    WireError: 422,
    InvalidError: 422,
    ArtifactError: 422,
    NotFoundError: 404,
    ConflictError: 409,
    RefusedError: 409,
    RuntimeUnavailableError: 409,
    AccessError: 403,
    LinkError: 503,
    UnreachableError: 503,
    StorageError: 507,
}
STATUS_OF_CODE = {
    "not_signed_in": 401,
    "too_many_requests": 429,
    "bad_enrolment": 403,
    "database_unreachable": 503,
    "upload_stalled": 408,
    "too_large": 413,
    "extra_missing": 501,
    "balena_answer": 502,
    "balena_failed": 502,
    "balena_unauthorized": 502,
    "hub_unreachable": 503,
    "too_many_readers": 503,
    "too_many_downloads": 503,
    "balena_timed_out": 504,
    "timed_out": 504,
}
"""Where the code says more than the class."""

UNAUTHORIZED = 401


def install(app: FastAPI) -> None:
    """Make every failure of `app` answer in the one form."""
    app.add_exception_handler(EdgeWattError, _ours)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


def answer(status: int, error: str, code: str, hint: str = "", **facts: Any) -> JSONResponse:
    """Return the one form of an error."""
    body = {"success": False, "error": error, "code": code, "hint": hint} | document(facts)
    return JSONResponse(body, status_code=status)


def refusal(error: EdgeWattError) -> JSONResponse:
    """Return `error` as an answer, with the headers that its status has."""
    status = STATUS_OF_CODE.get(error.code) or STATUS_OF.get(type(error), 400)
    made = answer(status, error.message, error.code, error.hint, **error.facts)
    if status == UNAUTHORIZED:
        made.headers["WWW-Authenticate"] = "Bearer"
    if "retry_after_s" in error.facts:
        made.headers["Retry-After"] = str(error.facts["retry_after_s"])
    return made


async def _ours(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, EdgeWattError)
    return refusal(error)


async def _validation(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        said = first.get("ctx", {}).get("error", "")
        return answer(422, f"the body is no JSON: {said}".rstrip(" :"), "invalid", "see /docs for what this path takes")
    field = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path"))
    message = f"{field}: {first['msg']}" if field else first["msg"]
    return answer(422, message, "invalid", "see /docs for what this path takes", field=field)


async def _http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
    return answer(error.status_code, str(error.detail), code, "see /docs for what there is")


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    logger.error("unexpected error: %s %s", request.method, request.url.path, exc_info=error)
    return answer(500, "something went wrong inside the controller", "internal", "the controller's log has the details")
