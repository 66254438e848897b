"""A resolver that does what a script says, on loopback sockets, UDP and TCP on one port; it notes what it was asked."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

from discovery.plugins.forward.settings import Upstream


class Asked(NamedTuple):
    query: dns.message.Message
    tcp: bool


# What to send back, one after the other; nothing is silence. It may wait: each query has its own thread.
Script = Callable[[Asked], "list[bytes]"]


class FakeUpstream:
    def __init__(self, script: Script) -> None:
        self.script = script
        self.asked: list[Asked] = []
        self._udp, self._tcp = _bound()
        self.port: int = self._udp.getsockname()[1]
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=loop, daemon=True) for loop in (self._serve_udp, self._serve_tcp)]
        for thread in self._threads:
            thread.start()

    @property
    def address(self) -> Upstream:
        return Upstream("127.0.0.1", self.port)

    @property
    def names(self) -> list[str]:
        return [str(asked.query.question[0].name) for asked in self.asked]

    def close(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join(60)
        self._udp.close()
        self._tcp.close()

    def _serve_udp(self) -> None:
        while not self._stopped.is_set():
            with suppress(TimeoutError):
                packet, client = self._udp.recvfrom(65535)
                threading.Thread(target=self._answer_datagram, args=(packet, client), daemon=True).start()

    def _answer_datagram(self, packet: bytes, client: Any) -> None:
        for reply in self._replies(packet, tcp=False):
            with suppress(OSError):  # closed meanwhile
                self._udp.sendto(reply, client)

    def _serve_tcp(self) -> None:
        while not self._stopped.is_set():
            with suppress(TimeoutError):
                connection, _ = self._tcp.accept()
                threading.Thread(target=self._answer_stream, args=(connection,), daemon=True).start()

    def _answer_stream(self, connection: socket.socket) -> None:
        with connection, suppress(OSError, struct.error):
            connection.settimeout(60)
            [length] = struct.unpack("!H", connection.recv(2, socket.MSG_WAITALL))
            for reply in self._replies(connection.recv(length, socket.MSG_WAITALL), tcp=True):
                connection.sendall(struct.pack("!H", len(reply)) + reply)

    def _replies(self, packet: bytes, tcp: bool) -> list[bytes]:
        asked = Asked(dns.message.from_wire(packet), tcp)
        self.asked.append(asked)
        return self.script(asked)


def _bound() -> tuple[socket.socket, socket.socket]:
    """On one port that is free for both."""
    while True:
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        udp.bind(("127.0.0.1", 0))
        try:
            tcp.bind(udp.getsockname())
        except OSError:
            udp.close()
            tcp.close()
            continue
        tcp.listen(50)
        for sock in (udp, tcp):
            sock.settimeout(0.05)
        return udp, tcp


@contextmanager
def upstreams(*scripts: Script) -> Iterator[list[FakeUpstream]]:
    fakes = [FakeUpstream(script) for script in scripts]
    try:
        yield fakes
    finally:
        for fake in fakes:
            fake.close()


# -- scripts


def reply_to(query: dns.message.Message, *ips: str, rcode: dns.rcode.Rcode = dns.rcode.NOERROR) -> dns.message.Message:
    reply = dns.message.make_response(query, recursion_available=True)
    reply.set_rcode(rcode)
    if ips:
        reply.answer.append(dns.rrset.from_text(query.question[0].name, 300, "IN", "A", *ips))
    return reply


def says(*ips: str, rcode: dns.rcode.Rcode = dns.rcode.NOERROR) -> Script:
    return lambda asked: [reply_to(asked.query, *ips, rcode=rcode).to_wire()]


def silent(asked: Asked) -> list[bytes]:
    return []


def truncated_over_udp(*ips: str) -> Script:
    def script(asked: Asked) -> list[bytes]:
        reply = reply_to(asked.query, *(ips if asked.tcp else ()))
        if not asked.tcp:
            reply.flags |= dns.flags.TC
        return [reply.to_wire(max_size=65535)]

    return script
