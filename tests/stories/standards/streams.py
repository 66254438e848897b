"""DNS over TCP by hand: octets in, messages out, so that what no client would send can be sent."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import dns.message

# Seconds; a connection that gives nothing for so long gives nothing.
LIMIT = 60.0


class Stream:
    def __init__(self, port: int) -> None:
        self._sock = socket.create_connection(("127.0.0.1", port), timeout=LIMIT)
        self._received = b""

    def fileno(self) -> int:
        return self._sock.fileno()

    def send(self, octets: bytes) -> None:
        self._sock.sendall(octets)

    def end(self) -> None:
        """Nothing more will be sent; replies are still read."""
        self._sock.shutdown(socket.SHUT_WR)

    def receive(self) -> bytes | None:
        """The next message; None when the server has closed the connection."""
        if (prefix := self._exactly(2)) is None:
            return None
        return self._exactly(struct.unpack("!H", prefix)[0])

    def ask(self, name: str, rtype: str = "A", **options: int) -> dns.message.Message:
        query = dns.message.make_query(name, rtype, **options)  # type: ignore[arg-type]
        self.send(framed(query.to_wire()))
        while (reply := self.receive()) is not None:
            message = dns.message.from_wire(reply)
            if message.id == query.id:
                assert query.is_response(message)
                return message
        raise AssertionError("the connection was closed before the reply came")

    def close(self) -> None:
        self._sock.close()

    def _exactly(self, count: int) -> bytes | None:
        while len(self._received) < count:
            try:
                octets = self._sock.recv(65536)
            except ConnectionResetError:
                return None
            if not octets:
                return None
            self._received += octets
        taken, self._received = self._received[:count], self._received[count:]
        return taken


def framed(message: bytes) -> bytes:
    """With its length before it (RFC 1035 §4.2.2)."""
    return struct.pack("!H", len(message)) + message


@contextmanager
def connected(port: int) -> Iterator[Stream]:
    stream = Stream(port)
    try:
        yield stream
    finally:
        stream.close()
