"""Each query is counted, once, over whatever it came; and some are shown to whoever looks closer.

`counted` stands in front of what answers over a stream. The UDP server, where a call for each query would cost as much as the counting,
adds to the numbers itself.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from functools import partial
from typing import Any

from discovery.dns.message.query import Transport
from discovery.dns.message.reason import Reason
from discovery.dns.server.responder import Respond
from discovery.dns.server.traffic import COLUMNS, OTHER, TC, Outcome, Traffic


class QueryCounter:
    """Counts what is answered over one `transport` (of TRANSPORTS). `clock`: the one whose time it gets.

    Whoever answers says the outcome of a reply (`traffic.last`) in the very turn in which it makes it. `left`: queries until the next
    that is looked at.
    """

    __slots__ = ("_clock", "_transport", "column", "left", "traffic")

    def __init__(self, transport: str, traffic: Traffic, clock: Callable[[], float]) -> None:
        self._transport = transport
        self._clock = clock
        self.column = COLUMNS[transport]
        self.traffic = traffic
        self.left = 0
        traffic.wakes.append(self._wake)

    def _wake(self) -> None:
        self.left = 0

    def count(self, reply: bytes, packet: bytes, now: float, client: str) -> None:
        """`reply` to a query that came at `now`."""
        self._add(self.traffic.last, packet, reply, now, client)

    def count_later(
        self, reply: Coroutine[Any, Any, bytes] | None, packet: bytes, now: float, client: str
    ) -> Coroutine[Any, Any, bytes] | None:
        """Silence at once; a reply that takes time when it has been made, or was given up."""
        if reply is None:
            self._add(self.traffic.last, packet, None, now, client)
            return None
        return Later(reply, partial(self._made, packet, now, client))

    def _made(self, packet: bytes, now: float, client: str, reply: bytes | None) -> None:
        outcome = self.traffic.of(None, None, Reason.SHED) if reply is None else self.traffic.last
        self._add(outcome, packet, reply, now, client)

    def _add(self, outcome: Outcome, packet: bytes, reply: bytes | None, now: float, client: str) -> None:
        outcome.sent[self.column if reply is None else self.column | reply[2] & TC] += 1
        self.left -= 1
        if self.left < 0:
            self.show(outcome, packet, reply, now, client)

    def show(self, outcome: Outcome, packet: bytes, reply: bytes | None, now: float, client: str) -> None:
        """To whoever looks at some."""
        self.left = self.traffic.show((packet, reply, client, self._transport, outcome, self._clock() - now))


def counted(inner: Respond, counter: QueryCounter) -> Respond:
    """In front of `inner`, with the same contract."""

    def respond(packet: bytes, now: float, client: str, way: Transport) -> bytes | Coroutine[Any, Any, bytes] | None:
        reply = inner(packet, now, client, way)
        if not isinstance(reply, bytes):
            return counter.count_later(reply, packet, now, client)
        counter.count(reply, packet, now, client)
        return reply

    return respond


def infer_outcome(inner: Respond, traffic: Traffic) -> Respond:
    """In front of somebody who may reply, or say nothing, without saying the outcome: then it is what the octets tell."""
    not_said = Outcome(OTHER, OTHER, OTHER, Reason.OTHER, False)

    def respond(packet: bytes, now: float, client: str, way: Transport) -> bytes | Coroutine[Any, Any, bytes] | None:
        traffic.last = not_said
        reply = inner(packet, now, client, way)
        if traffic.last is not_said:
            if isinstance(reply, bytes):
                traffic.last = traffic.of_octets(packet, reply)
            elif reply is None:
                traffic.last = traffic.of_silence(packet, way.stream is not None)
        return reply

    return respond


class Later(Coroutine[Any, Any, bytes]):
    """A reply that takes time. `count` is called once: with the reply, or with None when it was given up, begun or not."""

    def __init__(self, reply: Coroutine[Any, Any, bytes], count: Callable[[bytes | None], None]) -> None:
        self._reply = reply
        self._count: Callable[[bytes | None], None] | None = count

    def __await__(self) -> Generator[Any, Any, bytes]:
        try:
            octets = yield from self._reply.__await__()
        except BaseException:
            self._end(None)
            raise
        self._end(octets)
        return octets

    def send(self, value: Any) -> Any:
        try:
            return self._reply.send(value)
        except StopIteration as end:
            self._end(end.value)
            raise

    def throw(self, *error: Any) -> Any:
        try:
            return self._reply.throw(*error)
        except StopIteration as end:
            self._end(end.value)
            raise

    def close(self) -> None:
        self._reply.close()
        self._end(None)

    def _end(self, octets: bytes | None) -> None:
        count, self._count = self._count, None
        if count is not None:
            count(octets)
