"""A TCP connection to a port that somebody else has chosen, to see what becomes of it."""

from __future__ import annotations

import asyncio
import errno
import socket

# Errors that say nothing of the other side: this process or host has run out of something.
OUR_TROUBLE = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL, errno.ENETDOWN)


def stream_socket(ip: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_STREAM)
    sock.setblocking(False)
    return sock


async def connect(sock: socket.socket, ip: str, port: int) -> None:
    """OSError."""
    await asyncio.get_running_loop().sock_connect(sock, (ip, port))
    # A port of this host where nobody listens may be chosen for our own end, and TCP then connects a socket to itself.
    if sock.getsockname() == sock.getpeername():
        raise ConnectionRefusedError(errno.ECONNREFUSED, "")
