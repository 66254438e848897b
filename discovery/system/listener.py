"""Accepts connections, with TLS or without: a few in each turn of the event loop, since a thousand may have come at once, and asyncio
would take them all in one. Those with TLS are bounded before their handshake, not after it.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from discovery.core.address import client_prefix
from discovery.system.tls import Tls, TlsProtocol

_log = logging.getLogger("discovery.listener")

# Connections taken from the backlog in one turn of the event loop: 2 ms.
_PER_TURN = 32
# A handshake is two round trips and a millisecond of work.
HANDSHAKE_SECONDS = 5
# What accept() says when there is no room for a connection, and seconds until it is asked again: the socket stays readable meanwhile.
_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_PAUSE_SECONDS = 1.0


@dataclass(eq=False)
class Listener:
    """Owns one listening, non-blocking socket, and gives each of its connections, when it has shaken hands, to a protocol.

    `to_http`: what a client is told that speaks HTTP without TLS where there should be; None: nothing.
    """

    sock: socket.socket
    factory: Callable[[], asyncio.BaseProtocol]
    tls: Tls | None = None
    to_http: Callable[[], bytes] | None = None

    def __post_init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        self._listen()

    def close(self) -> None:
        """Also again."""
        if self.sock.fileno() < 0:
            return
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self.sock)
        self.sock.close()
        for task in self._tasks:
            task.cancel()

    async def wait_closed(self) -> None:
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _listen(self) -> None:
        self._pause = None
        self._loop.add_reader(self.sock, self._accept)

    def _accept(self) -> None:
        try:
            for _ in range(_PER_TURN):
                connection, (address, *_) = self.sock.accept()
                connection.setblocking(False)
                self._begin(connection, address)
        except OSError as error:  # else none is left, or it was gone before it was taken
            if error.errno in _NO_ROOM:
                _log.error(
                    "no connection can be accepted: %(reason)s; the next try is in %(_after)g s",
                    {"event": "listener.not_accepting", "reason": error.strerror, "_after": _PAUSE_SECONDS},
                )
                self._loop.remove_reader(self.sock)
                self._pause = self._loop.call_later(_PAUSE_SECONDS, self._listen)

    def _begin(self, connection: socket.socket, address: str) -> None:
        if self.tls is None:
            task: asyncio.Task[Any] = self._loop.create_task(
                self._loop.connect_accepted_socket(self.factory, connection)
            )
        else:
            task = self._loop.create_task(self._shake_hands(connection, self.tls))
            prefix, handshakes = client_prefix(address), self.tls.handshakes
            handshakes.hold(task, prefix, 1)
            task.add_done_callback(lambda task: handshakes.hold(task, prefix, 0))
        self._tasks.add(task)
        task.add_done_callback(partial(self._end, connection, address))

    async def _shake_hands(self, connection: socket.socket, tls: Tls) -> None:
        async with asyncio.timeout(HANDSHAKE_SECONDS):
            if self.to_http is not None and await _speaks_http(connection):
                await _answer_in_clear(connection, self.to_http)
                connection.close()
                return
            done: asyncio.Future[None] = self._loop.create_future()
            protocol = TlsProtocol(
                self._loop,
                self.factory(),
                tls.context,
                done,
                server_side=True,
                ssl_handshake_timeout=HANDSHAKE_SECONDS,
            )
            transport, _ = await self._loop.connect_accepted_socket(lambda: protocol, connection)
            try:
                await done
            except BaseException:
                transport.abort()
                raise

    def _end(self, connection: socket.socket, address: str, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            connection.close()
        elif (error := task.exception()) is not None:
            connection.close()
            if isinstance(error, ssl.SSLError) and self.tls is not None:
                self.tls.refused(address, error)
            elif not isinstance(error, OSError):  # what strangers send; TimeoutError is such
                _log.error("a connection failed", {"event": "listener.failed"}, exc_info=error)


# HTTP without TLS on the port of HTTPS is told apart by its first octet, and answered in clear, so that people need not guess.
# RFC 9112 §3: a request begins with its method, in capital letters. RFC 8446 §5.1: TLS begins with octet 22.
_METHOD = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")
# Octets of the request that are read and thrown away, in pieces: a reset, which a close with octets unread is, would take our words away.
_PIECE = 16 * 1024
_MOST_PIECES = 8


async def _speaks_http(connection: socket.socket) -> bool:
    """Waits for the client's first octet, which stays unread. OSError."""
    loop = asyncio.get_running_loop()
    readable = loop.create_future()
    loop.add_reader(connection, _note, readable)
    try:
        await readable
    finally:
        loop.remove_reader(connection)
    try:
        first = connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    return bool(first) and first[0] in _METHOD


async def _answer_in_clear(connection: socket.socket, make: Callable[[], bytes]) -> None:
    """Says it, and reads on for a while. OSError. The caller closes the connection."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(connection, make())
    connection.shutdown(socket.SHUT_WR)
    for _ in range(_MOST_PIECES):
        if not await loop.sock_recv(connection, _PIECE):
            return


def _note(readable: asyncio.Future[None]) -> None:
    if not readable.done():
        readable.set_result(None)
