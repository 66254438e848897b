"""Heads of requests as llhttp has read them, remembered for all connections: clients say the same again and again, and the same octets
between two requests mean the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from discovery.rest.api.requests import Request
from discovery.rest.api.route import Route

# Of at most so many octets and fields: every client has one or a few. Most of them are the same, so 20 MB are more than they ever take.
# All are forgotten when they are too many.
_MAX_HEADS = 4096
_MAX_KNOWN, _MAX_KNOWN_FIELDS = 1024, 20
# Heads with these are read anew each time: more is done for them than answering.
_NOT_REMEMBERED = frozenset((b"expect", b"upgrade"))
HEAD_END = b"\r\n\r\n"


class Known(NamedTuple):
    """What a head says, and which route that is. `length`: octets of the body."""

    method: str
    target: str
    headers: dict[bytes, bytes]
    length: int
    route: Route
    names: Mapping[str, str]


class Heads(dict[bytes, Known]):
    """A key is a head from its first octet to the empty line that ends it, and its value says nothing that is not in the key: other
    connections get it too, and it may hold a token.
    """

    def remember(self, request: Request, octets: bytes) -> None:
        """`octets`, from between two requests on, gave this request and no other. Not kept unless they are its head and its body."""
        headers, length = request.headers, len(request.body)
        head = octets[: len(octets) - length]
        if len(head) > _MAX_KNOWN or not 0 < head.find(HEAD_END) == len(head) - len(HEAD_END):
            return
        usual = request.keeps and request.refusal is None and len(headers) <= _MAX_KNOWN_FIELDS
        if usual and body_length(request) == length and not headers.keys() & _NOT_REMEMBERED:
            if len(self) >= _MAX_HEADS:
                self.clear()
            self[head] = Known(request.method, request.target, headers, length, request.route, request.names)


def body_length(request: Request) -> int | None:
    """Octets. None when only its chunks will tell."""
    headers = request.headers
    return None if b"transfer-encoding" in headers else int(headers.get(b"content-length", b"0"))
