"""Ports for programs that want to be told one."""

from __future__ import annotations

import socket
from random import SystemRandom

# Below those that the kernel hands out (Linux: from 32768 on) for port 0 and for connections: nobody else who tests is given one meanwhile.
_FROM, _TO = 22_000, 32_000
_random = SystemRandom()


def free_port() -> int:
    """On 127.0.0.1, for UDP and TCP; nobody listens there."""
    while True:
        port = _random.randrange(_FROM, _TO)
        with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagram:
            try:
                stream.bind(("127.0.0.1", port))
                datagram.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
