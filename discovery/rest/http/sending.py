"""What a connection sends: a short answer at once, of a longer one a piece after the other, as its client reads. What waits for the client
counts in the budget that all connections share.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod

from discovery.rest.api.answers import WITHOUT_BODY, Answer
from discovery.rest.api.requests import Request
from discovery.rest.http.connections import Part
from discovery.rest.http.pull import PIECE, Pull
from discovery.rest.http.shared import Shared

_log = logging.getLogger("discovery.rest")

# Seconds that it may take for the last octets of a connection that we have closed.
LAST_WORDS_SECONDS = 5.0


class Sending(asyncio.Protocol, ABC):
    """`_paused`: the client does not read what it asked for. `_closing`: nothing that comes is looked at any more. `beat_at`: of its last
    heartbeat, monotonic seconds.
    """

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._front = shared.front
        self._limits = shared.limits
        self._turns = shared.turns
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._current: Request | None = None  # whose answer is being made, or sent
        self._pull: Pull | None = None
        self._held = 0  # octets that wait for this client, as `waiting` knows it
        self._since = 0.0  # the last request's beginning, or the end of its answer, monotonic seconds
        self._paused = self._closing = False
        self.beat_at = NEVER
        self.part: Part | None = None
        self.address = self.prefix = ""

    @abstractmethod
    def _schedule(self) -> None:
        """There is more to do, in a turn to come."""

    @abstractmethod
    def _finish(self, request: Request) -> None:
        """Its answer is out."""

    @property
    def _is_gone(self) -> bool:
        """Nothing can be written: its transport may have failed, and tell it in a moment."""
        return self._closing or self._transport is None or self._transport.is_closing()

    def make_way(self) -> None:
        self._closing = True
        if self._transport is not None:
            self._transport.abort()  # what is unsent would keep its descriptor, uncounted

    def _send(self, request: Request, answer: Answer) -> None:
        """All of it, or what is left as the client reads."""
        try:
            octets = self._front.octets(request, answer)
        except Exception as error:
            answer = self._front.refused(request, error)
            octets = self._front.octets(request, answer)
        body = answer.body
        if isinstance(body, bytes):
            if len(octets) <= PIECE:
                if self._transport is not None:
                    self._transport.write(octets)
                self._finish(request)
                return
            pull = Pull(octets, self._turns, self._hold)
        else:
            self._write(octets)
            if request.method == "HEAD" or request.status in WITHOUT_BODY:
                self._finish(request)
                return
            pull = Pull(body, self._turns, self._hold, chunked=request.version == "1.1")
        self._current, self._pull = request, pull
        self._hold()
        self._send_more(pull)

    def _send_more(self, pull: Pull) -> None:
        while not self._paused and not self._is_gone:
            try:
                piece = pull.next()
            except Exception:
                self._fail(pull)
                return
            if piece is None:
                self._sent(pull)
                return
            if piece:
                self._write(piece)
            if self._turns.is_over():
                self._schedule()
                return

    def _sent(self, pull: Pull) -> None:
        request, self._current, self._pull = self._current, None, None
        pull.close()
        self._hold()
        if request is not None:
            self._finish(request)
        self._schedule()

    def _fail(self, pull: Pull) -> None:
        request = self._current
        assert request is not None
        _log.exception(
            "%(method)s %(path)s failed", {"event": "request.failed", "method": request.method, "path": request.path}
        )
        self.make_way()  # half an answer is all there will be

    def _write(self, octets: bytes) -> None:
        if self._transport is not None:
            self._transport.write(octets)

    def _hold(self) -> None:
        """So many octets wait for it."""
        held = 0 if self._pull is None else self._pull.own
        if self._paused and self._transport is not None:
            held += self._transport.get_write_buffer_size()
        if held != self._held:
            self._held = held
            self._shared.waiting.hold(self, self.prefix, held)

    def _close(self) -> None:
        """A client that never reads would keep what is unsent, and so the connection, for ever."""
        transport, self._closing = self._transport, True
        if transport is not None:
            transport.close()
            if transport.get_write_buffer_size():
                self._loop.call_later(LAST_WORDS_SECONDS, transport.abort)


NEVER = float("-inf")
