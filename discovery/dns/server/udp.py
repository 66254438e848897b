"""DNS over UDP: one socket. Of the queries that wait, a batch is answered between two turns of the others."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from discovery.dns.message.query import UDP
from discovery.dns.server.counted import QueryCounter
from discovery.dns.server.deferred import DeferredReplies
from discovery.dns.server.responder import Respond
from discovery.dns.server.traffic import TC
from discovery.system.datagrams import datagrams
from discovery.system.turns import TURN, turns

# Octets of queries that may wait, as the kernel counts them (0.8 KB for a small one, and twice of this is granted): some 650, which
# take 15 ms. More would only be answered when nobody waits any more; the newest are shed instead.
RECEIVE_BUFFER = 256 * 1024
# Linux: socket(7) has it as SO_MEMINFO; the ninth number is the count of drops.
_SO_MEMINFO = 55 if sys.platform == "linux" else None


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
        self._datagrams = datagrams(sock)
        self._left: Iterator[tuple[int, tuple[bytes, str]]] | None = None  # of a batch, for the next turn

    def shed(self) -> int:
        """Queries that came while the socket's buffer was full: the newest, dropped by the kernel before anybody read them."""
        if _SO_MEMINFO is None or self._sock.fileno() < 0:  # closed: the last requests are still answered
            return 0
        return int(struct.unpack_from("=I", self._sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 36), 32)[0])

    async def start(self) -> None:
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        asyncio.get_running_loop().add_reader(self._sock, self._on_readable)
        turns().urgent.append(self._on_readable)

    async def close(self) -> None:
        """Started or not."""
        if asyncio.get_running_loop().remove_reader(self._sock):
            turns().urgent.remove(self._on_readable)
            # Who has asked is answered: a resolver waits a second or more before it asks elsewhere. So many batches hold all that waits.
            for _ in range(16):
                self._on_readable()
                while self._left is not None:
                    self._go_on()
        self._sock.close()

    def _on_readable(self) -> None:
        if self._left is None:
            self._answer(enumerate(self._datagrams.receive()))

    def _go_on(self) -> None:
        if self._left is not None:
            self._answer(self._left)

    def _answer(self, queries: Iterator[tuple[int, tuple[bytes, str]]]) -> None:
        """For as long as a turn of the others at the most: a flood of queries must not starve HTTP."""
        waiting, respond, clock, counter = self._datagrams, self._respond, self._clock, self._counter
        loop = asyncio.get_running_loop()
        self._left, until = queries, clock() + TURN
        try:
            for slot, (packet, client) in queries:
                now = clock()
                reply = respond(packet, now, client, UDP)
                if not isinstance(reply, bytes):
                    self._answer_later(reply, packet, now, client, slot)
                else:
                    if counter is not None:  # as its `count`, without a call
                        outcome = counter.traffic.last
                        outcome.sent[counter.column | reply[2] & TC] += 1
                        counter.left -= 1
                        if counter.left < 0:
                            counter.show(outcome, packet, reply, now, client)
                    waiting.reply(slot, reply)
                if now > until:
                    break
            else:
                self._left = None
        except Exception as error:  # a defect: it costs this query alone its reply, and no connection that had it read
            loop.call_exception_handler({"message": "A DNS query was not answered", "exception": error})
        if self._left is not None:
            loop.call_soon(self._go_on)
        waiting.flush()

    def _answer_later(
        self, reply: Coroutine[Any, Any, bytes] | None, packet: bytes, now: float, client: str, slot: int
    ) -> None:
        """Or never: None is silence."""
        if self._counter is not None:
            reply = self._counter.count_later(reply, packet, now, client)
        if reply is not None:
            self._deferred.add(reply, self._datagrams.sender(slot))
