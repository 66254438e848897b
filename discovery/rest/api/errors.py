"""Errors as HTTP says them: one table from error to status, one body for all of them, framework errors included.

Body: `{error, message, timestamp, code, …facts}`. `error` is the status in words, `message` says what happened, to what and
what to do next, `code` is for programs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from pydantic import ValidationError

from discovery.core.errors import DiscoveryError, InvalidField
from discovery.rest.api.times import Times
from discovery.store.errors import (
    Deregistered,
    IdTaken,
    NameReserved,
    NotDurable,
    NoWindow,
    RegistryFull,
    ServiceFull,
    TooManyWindows,
    UnknownInstance,
    UnknownService,
)

_log = logging.getLogger("discovery.rest")

Facts = Mapping[str, Any]


class HttpError(DiscoveryError):
    """An error that only HTTP has. `facts` go into the body, `headers` onto the response."""

    def __init__(self, status: int, code: str, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.facts = facts
        self.headers: Mapping[str, str] = {}


# error → status, code, facts. The first class that fits.
_TABLE: list[tuple[type[DiscoveryError], int, str, Callable[[Any], Facts]]] = [
    (InvalidField, 400, "INVALID_FIELD", lambda error: {"field": error.field}),
    (
        UnknownInstance,
        404,
        "INSTANCE_UNKNOWN",
        lambda error: {"suggestion": "Register the instance first: POST /register with name, ip and port"},
    ),
    (
        Deregistered,
        404,
        "INSTANCE_DEREGISTERED",
        lambda error: {"suggestion": "Register the instance: POST /register", "retryAfterMs": round(error.left * 1000)},
    ),
    (NoWindow, 404, "NO_MAINTENANCE", lambda error: {}),
    (UnknownService, 404, "SERVICE_UNKNOWN", lambda error: {"serviceName": error.name}),
    (ServiceFull, 409, "SERVICE_FULL", lambda error: {"serviceName": error.name, "limit": error.limit}),
    (RegistryFull, 507, "REGISTRY_FULL", lambda error: {"limit": error.limit, "of": error.what}),
    (NameReserved, 409, "NAME_RESERVED", lambda error: {"serviceName": error.name}),
    (IdTaken, 409, "ID_TAKEN", lambda error: {"id": error.id}),
    (TooManyWindows, 409, "TOO_MANY_WINDOWS", lambda error: {}),
    (NotDurable, 503, "STORAGE_UNAVAILABLE", lambda error: {"reason": error.reason, "retryAfter": 1}),
]

# For browsers that are led here: nothing we send is a page, a script or a frame, unless a plugin's page says otherwise.
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}

INTERNAL = "Something went wrong inside the registry; its log has the details"

# What aiohttp raises of itself.
_FRAMEWORK = {
    404: ("ROUTE_UNKNOWN", "There is no {method} {path} here; the README lists the routes"),
    405: ("METHOD_NOT_ALLOWED", "{path} does not take {method}; it takes {allowed}"),
    413: ("BODY_TOO_LARGE", "The body is larger than {limit} octets"),
    417: ("EXPECTATION_FAILED", "Only 'Expect: 100-continue' is understood"),
}


def middleware(times: Times, max_body: int) -> Middleware:
    """Turns every error of a handler into its response. What is unforeseen is logged with its traceback and is a bare 500."""

    @web.middleware
    async def as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException as error:
            if error.status < 400:  # a redirect is no error
                raise
            return of_framework(request, error, times, max_body)
        except ValidationError as error:
            return respond(_of_shape(error), times)
        except DiscoveryError as error:
            return respond(error, times)
        except web.RequestPayloadError as error:
            return _unreadable(error, times)
        except Exception:
            if request.transport is None or request.transport.is_closing():
                raise ConnectionResetError("the client left before its answer") from None
            _log.exception("%s %s failed", request.method, request.rel_url.raw_path)
            if request.writer.output_size > 0:  # the answer has begun: all that is left is to break it off
                raise
            return body(500, "INTERNAL", INTERNAL, times)

    return as_json


def respond(error: DiscoveryError, times: Times) -> web.Response:
    if isinstance(error, HttpError):
        response = body(error.status, error.code, str(error), times, error.facts)
        response.headers.extend(error.headers)
        return response
    for kind, status, code, facts in _TABLE:
        if isinstance(error, kind):
            return body(status, code, str(error), times, facts(error))
    raise error


def body(status: int, code: str, message: str, times: Times, facts: Facts | None = None) -> web.Response:
    after = (facts or {}).get("retryAfter")
    headers = (
        SECURITY_HEADERS if after is None else SECURITY_HEADERS | {"Retry-After": str(after)}
    )  # seconds, RFC 9110 §10.2.3
    text = content(status, code, message, times, facts)
    return web.Response(body=text, status=status, headers=headers, content_type="application/json")


def content(status: int, code: str, message: str, times: Times, facts: Facts | None = None) -> bytes:
    said = {"error": HTTPStatus(status).phrase, "message": _printable(message), "code": code, **(facts or {})}
    return orjson.dumps(said | {"timestamp": times.now()})


def _printable(text: str) -> str:
    """What a client sent in a header may be no UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


def of_framework(request: web.BaseRequest, error: web.HTTPException, times: Times, max_body: int) -> web.Response:
    """aiohttp's own errors, and those that a plugin raises, with the headers that belong to them (Allow, …)."""
    error.__traceback__ = None  # its frames hold it in turn, and would be left to the collector
    allowed = ", ".join(sorted(getattr(error, "allowed_methods", ())))
    facts = {"method": request.method, "path": request.rel_url.raw_path, "allowed": allowed, "limit": max_body}
    code, text = _FRAMEWORK.get(error.status, (f"HTTP_{error.status}", ""))
    response = body(error.status, code, text.format(**facts) if text else error.reason, times)
    own = ("Content-Type", "Content-Length", "Allow")
    response.headers.extend((name, value) for name, value in error.headers.items() if name not in own)
    if allowed:
        response.headers["Allow"] = allowed  # RFC 9110 §15.5.6
    return response


def _unreadable(error: web.RequestPayloadError, times: Times) -> web.Response:
    response = body(400, "BROKEN_BODY", f"The body cannot be read: {error}", times)
    response.force_close()  # where the next request would begin is anybody's guess
    return response


def _of_shape(error: ValidationError) -> InvalidField:
    """The first thing pydantic found wrong, in our words."""
    first = error.errors(include_url=False, include_context=False)[0]
    field = ".".join(str(part) for part in first["loc"]) or "body"
    return InvalidField(field, _WORDS.get(first["type"], first["msg"]))


_WORDS = {
    "missing": "is required",
    "string_type": "must be a string",
    "int_type": "must be a whole number",
    "dict_type": "must be a JSON object",
    "list_type": "must be a list",
    "model_type": "must be a JSON object",
}
