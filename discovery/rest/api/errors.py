"""Errors as HTTP says them: one table from error to status, one body for all of them, framework errors included.

Body: `{error, message, timestamp, code, …facts}`. `error` is the status in words, `message` says what happened, to what and
what to do next, `code` is for programs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from discovery.core.errors import DiscoveryError
from discovery.core.log_fields import fields
from discovery.rest.api.answers import Answer
from discovery.rest.api.codes import CODES
from discovery.rest.api.times import Times

if TYPE_CHECKING:
    from discovery.rest.api.requests import Request

_log = logging.getLogger("discovery.rest")


class HttpError(DiscoveryError):
    """An error that only HTTP has. `facts` go into the body, `headers` onto the response. `index`: as of `Answer`."""

    def __init__(self, status: int, code: str, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.facts = facts
        self.headers: Mapping[str, str] = {}
        self.index: int | None = None

    @classmethod
    def usual(cls, code: str) -> HttpError:
        """One that always says the same: what the table has as its example."""
        found = CODES[code]
        return cls(found.status, code, found.message, **found.facts)


# The first class that fits.
_BY_ERROR = [(each.of, code, each) for code, each in CODES.items() if each.of is not None]


class Failure(NamedTuple):
    """What a client is told of an error. `headers`: besides those of every answer. `index`: as of `Answer`."""

    status: int
    code: str
    message: str
    facts: Mapping[str, Any] = {}
    headers: Mapping[str, str] = {}
    index: int | None = None  # type: ignore[assignment]  # hides tuple.index, which nobody asks


# Makes the answer to an error. The request: None where there was none that could be read.
ErrorForm = Callable[[Failure, Times, "Request | None"], Answer]


def failure_of(error: Exception) -> Failure | None:
    """None when it is not foreseen."""
    if isinstance(error, HttpError):
        return Failure(error.status, error.code, str(error), error.facts, error.headers, error.index)
    for kind, code, each in _BY_ERROR:
        if isinstance(error, kind):
            return Failure(each.status, code, str(error), each.facts_of(error))
    return None


# RFC 6750 §3.
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="discovery"'}


def as_json(failure: Failure, times: Times, request: Request | None = None) -> Answer:
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
        _log.error("%s failed", what, exc_info=error, extra=fields("request.failed", request=what))
        return form(Failure(500, "INTERNAL", CODES["INTERNAL"].message), times, request)
    headers = dict(_CHALLENGE if failure.status == HTTPStatus.UNAUTHORIZED else {})
    if "retryAfter" in failure.facts:
        headers["Retry-After"] = str(failure.facts["retryAfter"])  # seconds, RFC 9110 §10.2.3
    # What a client sent in a header may be no UTF-8.
    printable = failure.message.encode("utf-8", "backslashreplace").decode()
    return form(failure._replace(message=printable, headers=headers | dict(failure.headers)), times, request)
