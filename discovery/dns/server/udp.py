"""DNS over UDP: one socket, read in a burst until it would block.

On a wildcard address a reply leaves from the address that was asked (IP_PKTINFO): clients drop it otherwise.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import struct
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from discovery.dns.message.query import UDP
from discovery.dns.server.counted import QueryCounter
from discovery.dns.server.deferred import DeferredReplies
from discovery.dns.server.responder import Respond
from discovery.dns.server.traffic import TC
from discovery.system.turns import TURN

# Datagrams that are read between two turns of the others, for as long as one of theirs at the most: a flood of queries must not starve
# HTTP.
BURST = 64
# Octets of queries that may wait, as the kernel counts them (0.8 KB for a small one, and twice of this is granted): some 650, which
# take 15 ms. More would only be answered when nobody waits any more; the newest are shed instead.
RECEIVE_BUFFER = 256 * 1024
# The largest query that is read whole; longer ones are cut and thus malformed. Real queries have under 512 octets.
MAX_DATAGRAM = 4096

# socket has no name for Linux's IP_PKTINFO before Python 3.13; struct in_pktinfo is index, local address, header address.
_IP_PKTINFO = getattr(socket, "IP_PKTINFO", 8)
# Linux: socket(7) has it as SO_MEMINFO; the ninth number is the count of drops.
_SO_MEMINFO = 55 if sys.platform == "linux" else None
_ANCILLARY = socket.CMSG_SPACE(64)


class UdpServer:
    """Serves one bound, non-blocking datagram socket. `counter`: each query is counted; None: nobody wants to know."""

    def __init__(
        self,
        sock: socket.socket,
        respond: Respond,
        clock: Callable[[], float],
        deferred: DeferredReplies | None = None,
        counter: QueryCounter | None = None,
    ) -> None:
        self._sock = sock
        self._counter = counter
        self._respond = respond
        self._clock = clock
        self._deferred = deferred or DeferredReplies()
        self._wildcard = ipaddress.ip_address(sock.getsockname()[0]).is_unspecified
        if self._wildcard:
            _ask_for_destination(sock)

    def shed(self) -> int:
        """Queries that came while the socket's buffer was full: the newest, dropped by the kernel before anybody read them."""
        if _SO_MEMINFO is None or self._sock.fileno() < 0:  # closed: the last requests are still answered
            return 0
        return int(struct.unpack_from("=I", self._sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 36), 32)[0])

    async def start(self) -> None:
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        asyncio.get_running_loop().add_reader(self._sock, self._on_readable)

    async def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._sock)
        self._sock.close()

    def _on_readable(self) -> None:
        receive: Callable[[int], tuple[bytes, Any]] = self._sock.recvfrom
        send: Callable[[bytes, Any], int] = self._sock.sendto
        if self._wildcard:
            receive, send = self._receive_with_source, self._send_from_source
        respond, clock, counter = self._respond, self._clock, self._counter
        until = clock() + TURN
        # BlockingIOError ends the burst; other errors report an earlier reply that could not be delivered.
        with contextlib.suppress(OSError):
            for _ in range(BURST):
                packet, client = receive(MAX_DATAGRAM)
                now = clock()
                reply = respond(packet, now, client[0], UDP)
                if not isinstance(reply, bytes):
                    self._answer_later(reply, packet, now, client, send)
                else:
                    if counter is not None:  # as its `count`, without a call
                        outcome = counter.traffic.last
                        outcome.sent[counter.column | reply[2] & TC] += 1
                        counter.left -= 1
                        if counter.left < 0:
                            counter.show(outcome, packet, reply, now, client[0])
                    send(reply, client)
                if now > until:
                    return

    def _answer_later(
        self,
        reply: Coroutine[Any, Any, bytes] | None,
        packet: bytes,
        now: float,
        client: Any,
        send: Callable[[bytes, Any], int],
    ) -> None:
        """Or never: None is silence."""
        if self._counter is not None:
            reply = self._counter.count_later(reply, packet, now, client[0])
        if reply is not None:
            self._deferred.add(reply, send, client)

    def _receive_with_source(self, size: int) -> tuple[bytes, Any]:
        """As recvfrom: with the client's ip, its address, and the source that the reply must have."""
        packet, ancillary, _, client = self._sock.recvmsg(size, _ANCILLARY)
        return packet, (client[0], client, [_as_source(*item) for item in ancillary])

    def _send_from_source(self, reply: bytes, to: Any) -> int:
        _, client, source = to
        return self._sock.sendmsg([reply], source, 0, client)


def _ask_for_destination(sock: socket.socket) -> None:
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)


def _as_source(level: int, kind: int, data: bytes) -> tuple[int, int, bytes]:
    """The packet info of a query, turned round: its destination becomes the reply's source, the route is the kernel's choice."""
    if level == socket.IPPROTO_IP:
        return level, kind, bytes(4) + data[4:8] + bytes(4)
    return level, kind, data
