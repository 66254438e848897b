"""A UDP relay between a resolver and the server that writes down what was asked: the count of queries, seen on our side."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import dns.message
import dns.rdatatype

from tests.stories.process import LIMIT, Discovery


class Asked(NamedTuple):
    """`name` in the spelling of the query, without the last dot."""

    name: str
    type: str

    @property
    def lower(self) -> Asked:
        return Asked(self.name.lower(), self.type)


class Relay:
    def __init__(self, sock: socket.socket, upstream: int) -> None:
        self.port: int = sock.getsockname()[1]
        self.asked: list[Asked] = []
        self._sock = sock
        self._upstream = upstream

    def count(self, name: str, rtype: str) -> int:
        return [asked.lower for asked in self.asked].count(Asked(name, rtype))

    def run(self) -> None:
        """Until its socket is shut down. One query after the other: the server answers at once."""
        while True:
            query, client = self._sock.recvfrom(65535)
            if not query:
                return
            [question] = dns.message.from_wire(query).question
            self.asked.append(Asked(question.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(question.rdtype)))
            with socket.socket(type=socket.SOCK_DGRAM) as outward:
                outward.settimeout(LIMIT)
                outward.connect(("127.0.0.1", self._upstream))
                outward.send(query)
                self._sock.sendto(outward.recv(65535), client)


@contextmanager
def relay(server: Discovery) -> Iterator[Relay]:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        made = Relay(sock, server.dns_port)
        thread = threading.Thread(target=made.run)
        thread.start()
        try:
            yield made
        finally:
            with socket.socket(type=socket.SOCK_DGRAM) as last:
                last.sendto(b"", ("127.0.0.1", made.port))
            thread.join(LIMIT)
