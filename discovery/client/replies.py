"""What came back: replies read and checked against the shape that is expected, once; refusals and strangers told apart; and words for
servers that gave no answer.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from http import HTTPStatus
from typing import Annotated, Any, NoReturn, NotRequired, TypeVar, cast

import aiohttp
from pydantic import AfterValidator, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from discovery.client.access import OUR_NAMES, TlsNames
from discovery.client.errors import NotARegistry, Refused

T = TypeVar("T")

# `GET /services` of 100,000 instances has about 40 MB.
MAX_BODY = 512 * 1024 * 1024
# Of the name of a field that is wrong, which a stranger has chosen; of a number in a header: 64 bits.
_MAX_WORDS, _MAX_DIGITS = 200, 19
# What aiohttp raises when nobody answers, or not in HTTP.
UNANSWERED = (aiohttp.ClientError, OSError, TimeoutError)


@dataclass(frozen=True)
class Reply:
    """`content`: the JSON body, None when there was none. `headers`: by any case. `url`: the server that answered."""

    status: int
    headers: Mapping[str, str]
    content: Any
    url: str

    def of_shape(self, shape: type[T]) -> T:
        """The content as it is, with fields of these names and types and any others besides; NotARegistry where it is another."""
        return checked(self.content, shape, self.url)

    @property
    def index(self) -> int | None:
        """X-Registry-Index: what to wait from with `poll`."""
        return index_of(self.headers)


_adapter: Callable[[Any], TypeAdapter[Any]] = cache(TypeAdapter)


def checked(content: object, shape: type[T], url: str) -> T:
    """See `Reply.of_shape`."""
    try:
        _adapter(shape).validate_python(content, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))[:_MAX_WORDS] or "all of it"
        raise NotARegistry(url, f"JSON that no registry gives ({where}: {first['msg'].lower()})") from None
    return cast("T", content)


def parsed(text: str | bytes) -> Any:
    """JSON, without the numbers that are none. ValueError."""
    try:
        return json.loads(text, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


def epoch(iso: str) -> float:
    """Seconds since then of a time as the registry writes it. ValueError."""
    try:
        return datetime.fromisoformat(iso).timestamp()
    except OverflowError as error:
        raise ValueError(str(error)) from None


def _is_time(text: str) -> str:
    epoch(text)
    return text


Time = Annotated[str, AfterValidator(_is_time)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class OwnZone(TypedDict):
    """Of /resolve, where the caller's zone is preferred."""

    first: int
    why: str


class Drained(TypedDict):
    timestamp: Time
    safeAfter: NotRequired[Time]


def seconds_left(drained: Mapping[str, Any]) -> float:
    """Until no cache holds it any more, by the server's clock; 0 of one that no longer drains."""
    return max(0.0, epoch(drained.get("safeAfter", drained["timestamp"])) - epoch(drained["timestamp"]))


def index_of(headers: Mapping[str, str]) -> int | None:
    """X-Registry-Index, if there is one."""
    return number_in(headers, "X-Registry-Index")


def number_in(headers: Mapping[str, str], name: str) -> int | None:
    """A header that is a whole number, if there is one."""
    text = headers.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else None


async def read(response: aiohttp.ClientResponse, url: str) -> Reply:
    """NotARegistry when the body is no JSON."""
    if HTTPStatus.MULTIPLE_CHOICES <= response.status < HTTPStatus.BAD_REQUEST and "Location" in response.headers:
        raise NotARegistry(url, f"a redirect to {response.headers['Location']}")
    body = await body_of(response, MAX_BODY)
    if body is None:
        raise NotARegistry(url, f"more than {MAX_BODY} octets")
    content = None
    if body:
        try:
            content = parsed(body)
        except ValueError:
            kind = response.content_type if response.content_type != "application/json" else "broken JSON"
            raise NotARegistry(url, f"{kind}, status {response.status}") from None
    return Reply(response.status, response.headers, content, url)


async def body_of(response: aiohttp.ClientResponse, most: int) -> bytes | None:
    """None: it has more octets than that."""
    pieces, octets = [], 0
    async for piece in response.content.iter_any():
        pieces.append(piece)
        octets += len(piece)
        if octets > most:
            return None
    return b"".join(pieces)


class _Error(TypedDict):
    message: str
    code: NotRequired[str]
    suggestion: NotRequired[str]
    serviceName: NotRequired[str]
    known: NotRequired[str]
    since: NotRequired[str]
    retryAfterMs: NotRequired[Annotated[Finite, Field(ge=0)]]


def refusal(reply: Reply) -> Refused:
    """Of an error that is none of a registry's, the status alone counts."""
    try:
        content = reply.of_shape(_Error)
    except NotARegistry:
        content = {"message": f"{reply.url} answered with status {reply.status} and does not say why"}
    milliseconds, seconds = content.get("retryAfterMs"), number_in(reply.headers, "Retry-After")
    after = seconds if milliseconds is None else milliseconds / 1000
    return Refused(reply.status, content, reply.headers, after)


def why(error: Exception, seconds: float, url: str = "", names: TlsNames = OUR_NAMES) -> str:
    """Why a server that was asked gave no answer in that time. `names`: of what to set."""
    if isinstance(error, TimeoutError):
        return f"no answer in {seconds:g} s"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return (
            f"its certificate is not trusted: {error.certificate_error}; {names.ca} names the authority that signed it"
        )
    if isinstance(error, aiohttp.ClientConnectorError):
        return _cause(error.os_error)
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientConnectionResetError):
        # Of TLS 1.3's alert that a certificate is missing (RFC 8446 §4.4.2.4) asyncio leaves no more than this.
        hint = f"; if it asks clients for certificates, {names.cert} and {names.key} name one that it takes"
        return "it closed the connection without an answer" + (hint if url.startswith("https:") else "")
    if isinstance(error, aiohttp.ClientPayloadError):
        return "it broke off in the middle of its answer"
    if isinstance(error, OSError):
        return _cause(error)
    return "it speaks no HTTP"  # what it said instead is of no use, and may be long


def _cause(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):  # whose numbers are its own
        return f"it speaks no TLS: {error.reason}"
    if error.errno is None or isinstance(error, socket.gaierror):  # whose numbers are its own
        return error.strerror or str(error)
    return os.strerror(error.errno)
