"""How Consul speaks HTTP: tokens, errors as bare text, answers in JSON, packed where the client takes gzip."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import orjson

from discovery.core import exact_json
from discovery.rest.api.answers import JSON, Answer
from discovery.rest.api.errors import HttpError
from discovery.rest.api.requests import Request
from discovery.rest.api.route import Manners
from discovery.rest.api.times import Times

TEXT = "text/plain; charset=utf-8"
INDEX = "X-Consul-Index"
# What is said of an answer that is no list of the catalog's.
NO_INDEX = {INDEX: "1"}
# Octets that are worth packing, and those that are packed in a thread: 1 MB takes 10 ms.
_LONG, _VERY_LONG = 2048, 64 * 1024
# Consul has no other statuses for what is refused; its clients take all of them for errors.
_STATUS = {409: 500, 507: 500, 503: 500}
_DENIED = ("UNAUTHORIZED", "FORBIDDEN")


class Refused(HttpError):
    """As Consul says it."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__("CONSUL", text)
        self.status = status
        self.headers = headers or {}


# Answers of writes.
DONE = Answer(200, b"", media="")
TRUE = Answer(200, b"true")


def _authorization(request: Request) -> str | None:
    """X-Consul-Token, a bearer token, or `?token=`; one that is empty is none."""
    if token := request.header(b"x-consul-token"):
        return f"Bearer {token}"
    scheme, _, secret = (request.header(b"authorization") or "").partition(" ")
    if scheme and (scheme.lower() != "bearer" or secret.strip()):
        return f"{scheme} {secret}"
    if "token=" not in request.query:
        return None
    found = [value for name, value in parse_qsl(request.query) if name == "token"]
    return f"Bearer {found[0]}" if found else None


def _error(failure: HttpError, times: Times, request: Request | None) -> Answer:
    status, headers = _STATUS.get(failure.status, failure.status), dict(failure.headers)
    text = failure.message
    if failure.code in _DENIED:
        status, text = 403, f"Permission denied: {text}"
        headers.pop("WWW-Authenticate", None)
    elif failure.code == "ROUTE_UNKNOWN":
        return Answer(404, b"", media="")
    elif failure.code == "METHOD_NOT_ALLOWED":
        text = f"method {'' if request is None else request.method} not allowed"
        methods = {each.strip() for each in headers["Allow"].split(",")} - {"HEAD"} | {"OPTIONS"}
        headers["Allow"] = ",".join(sorted(methods, key=lambda each: (each != "OPTIONS", each)))
        if request is not None and request.method == "OPTIONS":
            return Answer(200, b"", headers, media="")
    return Answer(status, text.encode(), headers, failure.index, TEXT)


MANNERS = Manners("/v1", _error, authorization=_authorization)


def encoded(content: Any, pretty: bool = False) -> bytes:
    try:
        return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE if pretty else 0)
    except TypeError:  # a Proxy may have a number of more than 64 bits
        return exact_json.dumps(content)


def as_json(content: Any, status: int = 200, headers: Mapping[str, str] | None = None, pretty: bool = False) -> Answer:
    return Answer(status, encoded(content, pretty), headers or {}, media=JSON)


def packed(answer: Answer) -> Answer | Awaitable[Answer]:
    """The same in gzip, where that is shorter."""
    body = answer.body
    if not isinstance(body, bytes) or len(body) < _LONG:
        return answer
    answer = answer._replace(headers={**answer.headers, "Content-Encoding": "gzip", "Vary": "Origin, Accept-Encoding"})
    if len(body) < _VERY_LONG:
        return answer._replace(body=gzip.compress(body, 1, mtime=0))
    return _packed_aside(answer, body)


async def _packed_aside(answer: Answer, body: bytes) -> Answer:
    return answer._replace(body=await asyncio.to_thread(gzip.compress, body, 1, mtime=0))
