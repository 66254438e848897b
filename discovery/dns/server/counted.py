"""In front of everything that answers over one transport: each query is counted, once, and some are shown to whoever looks closer."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from functools import partial
from typing import Any

from discovery.dns.message.query import Transport
from discovery.dns.message.reason import Reason
from discovery.dns.server.responder import Respond
from discovery.dns.server.traffic import COLUMNS, OTHER, TC, Outcome, Traffic


def counted(inner: Respond, transport: str, traffic: Traffic, clock: Callable[[], float]) -> Respond:
    """In front of `inner`, with the same contract. `clock`: the one whose time it gets. `transport`: one of TRANSPORTS.

    `inner` says the outcome of a reply (`traffic.last`) in the very turn in which it makes it.
    """
    column = COLUMNS[transport]
    left = 0  # queries until the next that is looked at

    def wake() -> None:
        nonlocal left
        left = 0

    traffic.wakes.append(wake)

    def respond(packet: bytes, now: float, client: str, way: Transport) -> bytes | Coroutine[Any, Any, bytes] | None:
        # A function inside another, and `count` written out: an object's attributes and a call would cost as much again.
        nonlocal left
        reply = inner(packet, now, client, way)
        if isinstance(reply, bytes):
            traffic.last.sent[column | reply[2] & TC] += 1
            left -= 1
            if left < 0:
                left = traffic.show((packet, reply, client, transport, traffic.last, clock() - now))
            return reply
        if reply is not None:
            return Later(reply, partial(count_later, packet, now, client))
        count(traffic.last, packet, None, now, client)
        return None

    def count_later(packet: bytes, now: float, client: str, reply: bytes | None) -> None:
        if reply is None:
            count(traffic.of(None, None, Reason.SHED), packet, None, now, client)
        else:
            count(traffic.last, packet, reply, now, client)

    def count(outcome: Outcome, packet: bytes, reply: bytes | None, now: float, client: str) -> None:
        nonlocal left
        outcome.sent[column if reply is None else column | reply[2] & TC] += 1
        left -= 1
        if left < 0:
            left = traffic.show((packet, reply, client, transport, outcome, clock() - now))

    return respond


def unsaid(inner: Respond, traffic: Traffic) -> Respond:
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
