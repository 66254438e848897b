"""One probe: a TCP connection to an address and, for HTTP, one GET whose status line is all that counts.

On a bare socket and not with an HTTP client: this way the kernel is never asked for more than the 4 KiB, and there is nothing that
could look up a name, follow a redirect, unpack a body, keep a connection or read a proxy from the environment.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket

from discovery.core.address import authority
from discovery.core.check import HTTP, Check
from discovery.core.errors import DiscoveryError
from discovery.system.connecting import OUR_TROUBLE, connect, stream_socket

# Octets of an answer that are read: any status line and, of an honest health page, usually all, so that its server sees no reset.
MAX_ANSWER = 4096

_REQUEST = (
    "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: discovery-check\r\nAccept: */*\r\nConnection: close\r\n\r\n"
)
# RFC 9112 §4, and HTTP/1.0's.
_STATUS = re.compile(rb"HTTP/1\.[0-9] ([1-9][0-9]{2})[ \r\n]")


class CannotProbe(DiscoveryError):
    def __init__(self, why: str) -> None:
        super().__init__(f"An active check could not be made: {why}")


class NoAddress(DiscoveryError):
    def __init__(self, name: str) -> None:
        super().__init__(f"{name} has no address")


async def probe(ip: str, port: int, check: Check, host: str = "") -> str | None:
    """None when it passes, else why not. CannotProbe when that is no fault of the instance. `host`: whose address it is, where it is
    known by a name.
    """
    answer = bytearray()
    trouble = None
    try:
        with stream_socket(ip) as sock:
            async with asyncio.timeout(check.timeout):
                await connect(sock, ip, port)
                if check.kind == HTTP:
                    await _get(sock, host or ip, port, check.path, answer)
    except TimeoutError:
        trouble = f"no answer within {check.timeout:g} s"
    except OSError as error:
        if error.errno in OUR_TROUBLE:
            raise CannotProbe(_text(error)) from None
        trouble = _text(error)
    return trouble if check.kind != HTTP else _judge(bytes(answer), trouble)


async def _get(sock: socket.socket, host: str, port: int, path: str, answer: bytearray) -> None:
    """Adds to `answer` until its end, or as much of it as we read."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, _REQUEST.format(path=path, host=authority(host, port)).encode("ascii"))
    while chunk := await loop.sock_recv(sock, MAX_ANSWER - len(answer)):
        answer += chunk
        if len(answer) == MAX_ANSWER:
            return


def _judge(answer: bytes, trouble: str | None) -> str | None:
    """By the status as soon as there is one: what befell the rest of the answer does not matter."""
    status = _status(answer)
    if status is not None:
        return None if 200 <= status <= 299 else f"answered {status}"
    return trouble or ("no HTTP status in its answer" if answer else "closed the connection without an answer")


def _status(answer: bytes) -> int | None:
    """The final one: interim answers come before it (RFC 9110 §15.2)."""
    while found := _STATUS.match(answer):
        status = int(found[1])
        if status >= 200:
            return status
        answer = answer.partition(b"\r\n\r\n")[2]
    return None


def _text(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else type(error).__name__
