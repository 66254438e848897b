"""Heads of requests as llhttp has read them, remembered for all connections: clients say the same again and again, and the same octets
between two requests mean the same.
"""

from __future__ import annotations

from collections.abc import Mapping

from discovery.rest.api.requests import Request
from discovery.rest.api.route import Route

# Of at most so many octets and fields: every client has one or a few. Most of them are the same, so 20 MB are more than they ever take.
# All are forgotten when they are too many.
_MAX_HEADS = 4096
_MAX_KNOWN, _MAX_KNOWN_FIELDS = 1024, 20
# Heads with these are read anew each time: more is done for them than answering.
_NOT_REMEMBERED = frozenset((b"expect", b"upgrade"))
HEAD_END = b"\r\n\r\n"


# What a head says, and which route that is: method, target, headers, route, names, and octets of the body.
Known = tuple[str, str, dict[bytes, bytes], Route, Mapping[str, str], int]


class Heads(dict[bytes, Known]):
    """A key is a head without the empty line that ends it, and its value says nothing that is not in the key: other connections get it
    too, and it may hold a token.
    """

    def remember(self, request: Request, octets: bytes) -> None:
        """`octets`, from between two requests on, gave this request and no other. Not kept unless they are its head and its body."""
        headers, (head, end, body) = request.headers, octets.partition(HEAD_END)
        if not end or not 0 < len(head) <= _MAX_KNOWN or body != request.body:
            return
        usual = request.keeps and request.refusal is None and len(headers) <= _MAX_KNOWN_FIELDS
        if usual and body_length(request) == len(body) and not headers.keys() & _NOT_REMEMBERED:
            if len(self) >= _MAX_HEADS:
                self.clear()
            self[head] = request.method, request.target, headers, request.route, request.names, len(body)


def body_length(request: Request) -> int | None:
    """Octets. None when only its chunks will tell."""
    headers = request.headers
    return None if b"transfer-encoding" in headers else int(headers.get(b"content-length", b"0"))
