"""HTTP without TLS on the port of HTTPS: told apart by its first octet, and answered in clear, so that people need not guess."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

# RFC 9112 §3: a request begins with its method, in capital letters. RFC 8446 §5.1: TLS begins with octet 22.
_METHOD = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")
# Octets of the request that are read and thrown away, in pieces: a reset, which a close with octets unread is, would take our words away.
_PIECE = 16 * 1024
_MOST_PIECES = 8


async def speaks_http(connection: socket.socket) -> bool:
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


async def answer(connection: socket.socket, make: Callable[[], bytes]) -> None:
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
