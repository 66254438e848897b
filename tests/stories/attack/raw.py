"""HTTP by hand: octets out, all that comes back until the server closes."""

from __future__ import annotations

import http.client
import io
import json
import socket
from typing import Any, NamedTuple, cast

from tests.stories.process import LIMIT


class Answer(NamedTuple):
    """`fields`: the header lines as they came. `body`: decoded JSON."""

    status: int
    fields: list[bytes]
    body: Any

    def header(self, name: str) -> str | None:
        found = [
            field.partition(b":")[2].strip() for field in self.fields if field.lower().startswith(name.encode() + b":")
        ]
        return found[0].decode("latin-1") if found else None


def exchange(port: int, octets: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=LIMIT) as sock:
        received = bytearray()
        try:
            sock.sendall(octets)
            while part := sock.recv(65536):
                received += part
        except ConnectionError:
            pass  # it had said all it wanted to
        return bytes(received)


def ask(port: int, line: str, *fields: bytes, body: bytes = b"") -> Answer:
    """One request on a connection of its own; `fields` as they are."""
    lines = [
        line.encode("latin-1") + b" HTTP/1.1",
        *(fields if has_host(fields) else (b"Host: a", *fields)),
        b"Connection: close",
    ]
    if body:
        lines.append(b"Content-Length: %d" % len(body))
    octets = exchange(port, b"\r\n".join([*lines, b"", b""]) + body)
    response = http.client.HTTPResponse(cast("Any", _Received(octets)))
    response.begin()
    text = response.read()
    head = octets.partition(b"\r\n\r\n")[0].split(b"\r\n")
    is_json = response.headers.get_content_type() == "application/json"
    return Answer(response.status, head[1:], (json.loads(text) if is_json else text.decode()) if text else None)


class _Received:
    """What http.client reads from: it wants a socket."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._octets)


def has_host(fields: tuple[bytes, ...]) -> bool:
    return any(field.lower().startswith(b"host:") for field in fields)
