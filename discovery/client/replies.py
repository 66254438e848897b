"""What came back: replies read into values, refusals and strangers told apart, and words for servers that gave no answer."""

from __future__ import annotations

import json
import os
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import aiohttp

from discovery.client.errors import NotARegistry, Refused

# `GET /services` of 100,000 instances has about 40 MB.
MAX_BODY = 512 * 1024 * 1024
# What aiohttp raises when nobody answers, or not in HTTP.
UNANSWERED = (aiohttp.ClientError, OSError, TimeoutError)


@dataclass(frozen=True)
class Reply:
    """`content`: the JSON body, None when there was none. `headers`: by any case. `url`: the server that answered."""

    status: int
    headers: Mapping[str, str]
    content: Any
    url: str

    @property
    def index(self) -> int | None:
        """X-Registry-Index: what to wait from with `poll`."""
        return index_of(self.headers)


def index_of(headers: Mapping[str, str]) -> int | None:
    """X-Registry-Index, if there is one."""
    return number_in(headers, "X-Registry-Index")


def number_in(headers: Mapping[str, str], name: str) -> int | None:
    """A header that is a whole number, if there is one."""
    text = headers.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else None


async def read(response: aiohttp.ClientResponse, url: str) -> Reply:
    """NotARegistry when the body is no JSON."""
    if HTTPStatus.MULTIPLE_CHOICES <= response.status < HTTPStatus.BAD_REQUEST and "Location" in response.headers:
        raise NotARegistry(url, f"a redirect to {response.headers['Location']}")
    body = await _body(response, url)
    content = None
    if body:
        try:
            content = json.loads(body)
        except (ValueError, RecursionError):
            kind = response.content_type if response.content_type != "application/json" else "broken JSON"
            raise NotARegistry(url, f"{kind}, status {response.status}") from None
    return Reply(response.status, response.headers, content, url)


async def _body(response: aiohttp.ClientResponse, url: str) -> bytes:
    pieces, octets = [], 0
    async for piece in response.content.iter_any():
        pieces.append(piece)
        octets += len(piece)
        if octets > MAX_BODY:
            raise NotARegistry(url, f"more than {MAX_BODY} octets")
    return b"".join(pieces)


def refusal(reply: Reply) -> Refused:
    content = reply.content if isinstance(reply.content, dict) else {}
    message = content.get("message") or f"{reply.url} answered with status {reply.status} and does not say why"
    return Refused(reply.status, str(content.get("code") or ""), str(message), reply.content, reply.headers)


def why(error: Exception, seconds: float) -> str:
    """Why a server that was asked gave no answer in that time."""
    if isinstance(error, TimeoutError):
        return f"no answer in {seconds:g} s"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"its certificate is not trusted: {error.certificate_error}"
    if isinstance(error, aiohttp.ClientConnectorError):
        return _cause(error.os_error)
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientConnectionResetError):
        return "it closed the connection without an answer"
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
