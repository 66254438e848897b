"""Errors as HTTP says them: one table from error to status, one body for all of them, framework errors included.

Body: `{error, message, timestamp, code, …facts}`. `error` is the status in words, `message` says what happened, to what and
what to do next, `code` is for programs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson

from discovery.core.errors import DiscoveryError
from discovery.rest.api.answers import Answer
from discovery.rest.api.codes import CODES
from discovery.rest.api.times import Times

if TYPE_CHECKING:
    from discovery.rest.api.requests import Request

_log = logging.getLogger("discovery.rest")


class HttpError(DiscoveryError):
    """What a client is told of an error, and an error that only HTTP has. `code`: one of CODES, which has its status; answers in other
    registries' words set that themselves. `facts` go into the body, `headers` onto the response. `index`: as of `Answer`.
    """

    def __init__(self, code: str, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.status = CODES.get(code, CODES["INTERNAL"]).status
        self.code = code
        self.message = message
        self.facts = facts
        self.headers: Mapping[str, str] = {}
        self.index: int | None = None

    @classmethod
    def usual(cls, code: str) -> HttpError:
        """One that always says the same: what the table has as its example."""
        return cls(code, CODES[code].message, **CODES[code].facts)


# The first class that fits.
_BY_ERROR = [(each.of, code) for code, each in CODES.items() if each.of is not None]
# Makes the answer to an error. The request: None where there was none that could be read.
ErrorForm = Callable[[HttpError, Times, "Request | None"], Answer]


def failure_of(error: Exception) -> HttpError | None:
    """None when it is not foreseen."""
    if isinstance(error, HttpError):
        return error
    for kind, code in _BY_ERROR:
        if isinstance(error, kind):
            return HttpError(code, str(error), **error.facts)
    return None


# RFC 6750 §3.
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="discovery"'}


def as_json(failure: HttpError, times: Times, request: Request | None = None) -> Answer:
    """The body that all errors of our own routes have."""
    said = {
        "error": HTTPStatus(failure.status).phrase,
        "message": failure.message,
        "code": failure.code,
        **failure.facts,
    }
    return Answer(failure.status, orjson.dumps(times.stamp(said)), failure.headers, failure.index)


def answer_to(
    error: Exception, what: str, times: Times, form: ErrorForm = as_json, request: Request | None = None
) -> Answer:
    """`what` was asked, for the log: what is unforeseen is a bare 500, and logged with its traceback."""
    failure = failure_of(error)
    if failure is None:
        _log.error("%(request)s failed", {"event": "request.failed", "request": what}, exc_info=error)
        failure = HttpError.usual("INTERNAL")
    headers = dict(_CHALLENGE if failure.status == HTTPStatus.UNAUTHORIZED else {})
    if "retryAfter" in failure.facts:
        headers["Retry-After"] = str(failure.facts["retryAfter"])  # seconds, RFC 9110 §10.2.3
    failure.headers = headers | dict(failure.headers)
    # What a client sent in a header may be no UTF-8.
    failure.message = failure.message.encode("utf-8", "backslashreplace").decode()
    return form(failure, times, request)
