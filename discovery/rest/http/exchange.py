"""One request answered by aiohttp: a protocol of its `web.Server`, which sees a connection with this one request on it.

aiohttp gets the request anew, from what httptools made of it and with `Connection: close`; so it closes its transport, which is this
object, when the answer is complete. The client's connection lives on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from aiohttp import web

from discovery.rest.api.requests import Request

# Fields that aiohttp does not get: those of the client's connection, and of the body's framing on it; and the last, since aiohttp
# refuses a request that has it.
_LEFT_OUT = frozenset((
    b"connection", b"content-length", b"expect", b"keep-alive", b"transfer-encoding", b"upgrade", b"sec-websocket-key1",
))  # fmt: skip


class Exchange(asyncio.Transport):
    """`on_end()` is called once, when aiohttp has closed it. `begun`: octets of the answer have been sent. `answered`: all of them, so
    the connection can go on.
    """

    handed_on = False
    ends_with_client = False

    def __init__(self, request: Request, client: asyncio.Transport, on_end: Callable[[], None]) -> None:
        super().__init__()
        self.request = request
        self.begun = self.answered = False
        self._client = client
        self._on_end = on_end
        self._closing = False
        self._protocol: asyncio.Protocol | None = None

    def begin(self, server: web.Server) -> None:
        self._protocol = protocol = server()
        protocol.connection_made(self)
        protocol.data_received(_octets(self.request))

    def lost(self, exc: Exception | None) -> None:
        """The client has left, or everything has been said. aiohttp and this object refer to each other until then."""
        self._closing = True
        if self._protocol is not None:
            protocol, self._protocol = self._protocol, None
            protocol.connection_lost(exc)

    def stop(self) -> None:
        """It is finished."""

    def pause_writing(self) -> None:
        if self._protocol is not None:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        if self._protocol is not None:
            self._protocol.resume_writing()

    # -- what aiohttp calls

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        self.begun = True
        self._client.write(data)

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview[Any]]) -> None:
        self.begun = True
        self._client.writelines(list_of_data)

    def is_closing(self) -> bool:
        return self._closing or self._client.is_closing()

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._on_end()

    def abort(self) -> None:
        self._client.abort()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """All but the socket: its options are set for the client's connection, not for each request."""
        return default if name == "socket" else self._client.get_extra_info(name, default)

    def get_write_buffer_size(self) -> int:
        return self._client.get_write_buffer_size()

    def pause_reading(self) -> None:
        """The whole request has been read."""

    def resume_reading(self) -> None:
        pass


def _octets(request: Request) -> bytes:
    fields = [b"%b: %b\r\n" % field for field in request.headers.items() if field[0] not in _LEFT_OUT]
    return b"%b %b HTTP/%b\r\n%bconnection: close\r\ncontent-length: %d\r\n\r\n%b" % (
        request.method.encode(), request.target.encode(), request.version.encode(), b"".join(fields), len(request.body),
        request.body,
    )  # fmt: skip
