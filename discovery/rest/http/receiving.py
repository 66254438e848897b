"""What a connection receives: octets become requests, in slices. What the client owes us decides how long it may take, and who makes way
for others. While anything waits, no more is read.
"""

from __future__ import annotations

from time import monotonic

from discovery.rest.api.errors import HttpError
from discovery.rest.api.requests import Arrival, Request
from discovery.rest.api.route import Kind
from discovery.rest.http.deferred_exchange import DeferredExchange
from discovery.rest.http.framing import SLICE, Framer
from discovery.rest.http.phase_timer import SECONDS, Phase, PhaseTimer
from discovery.rest.http.sending import NEVER, Sending
from discovery.rest.http.shared import SMALL, Shared

# Seconds for which one heartbeat stands for those that follow.
_NOTED_SECONDS = 5.0
# Octets of a body that are parsed at a time.
_BODY_SLICE = 256 * 1024
# Octets of an answer of its own that a client may leave unread for as long as Phase.READ; of more, for as long as Phase.READ_MUCH.
MUCH = 256 * 1024
# Seconds that a client may go on sending what nobody wants, so that it gets to read why.
LINGERING_SECONDS = 2.0


class Receiving(Sending):
    """`_unread`: octets that are not parsed yet. `_stopping`: what is in hand is the last. `body_is_whole`: the one that came last."""

    def __init__(self, shared: Shared) -> None:
        super().__init__(shared)
        self._framer = Framer(self._admit, shared.heads)
        self._timer = PhaseTimer(self._loop, self._too_slow)
        self._unread = b""
        self._new = True
        self._exchange: DeferredExchange | None = None
        self._reading_paused = self._stopping = self.body_is_whole = False
        self._ordered_at = NEVER
        self.arrival = Arrival("", 0, "http")

    def is_idle(self) -> bool:
        return self._current is None and not self._framer.whole and not self._unread

    def give_up_body(self) -> None:
        error = HttpError.usual("TOO_BUSY")
        if self._framer.whole:  # it has just come whole
            request = self._framer.whole[0]
            request.body, request.refusal = b"", error
        else:
            self._refuse(error)

    def _body_done(self) -> None:
        self._shared.bodies.hold(self, self.prefix, 0)

    def _admit(self, request: Request) -> None:
        request.arrival = self.arrival
        self._front.admit(request, self.address)

    def _parse(self) -> None:
        framer, unread, coming = self._framer, self._unread, self._framer.coming
        size = SLICE if coming is None else max(SLICE, min(framer.missing, _BODY_SLICE))
        if len(unread) <= size:
            self._unread = b""
        else:
            unread, self._unread = unread[:size], unread[size:]
        framer.feed(unread)
        if coming is None:
            return  # what has begun in one slice is small
        is_whole = framer.coming is not coming
        octets = len(coming.body) if is_whole else framer.kept
        self.body_is_whole = False  # it may still have to go, if it is too much
        self._shared.bodies.hold(self, self.prefix, octets if octets > SMALL else 0)
        self.body_is_whole = is_whole

    def _finish(self, request: Request) -> None:
        now = monotonic()
        self._shared.note(request, request.address or self.address, now - self._since)
        self._since = now
        if request.route.kind is _HEARTBEAT and request.status < 300 and self.beat_at < now - _NOTED_SECONDS:
            self.beat_at = now
            self._limits.beats(self, now)
        if len(request.body) > SMALL:
            self._body_done()

    # -- bounds

    def _update_timer(self) -> None:
        """What the client owes us decides how long it may take, and who makes way for others."""
        if self._closing or self._transport is None:
            return
        framer, phase = self._framer, _IDLE
        if self._timer.phase is _IDLE and not (
            framer.begun or framer.coming or self._unread or self._paused or self._new or self._reading_paused
        ):
            return  # as before, nearly always
        if self._paused:
            phase = Phase.READ if self._held <= MUCH else Phase.READ_MUCH
        elif self._current is not None or framer.whole or self._unread:
            pass
        elif framer.coming is not None:
            phase = Phase.BODY
            self._ask_for_body(framer.coming)
        elif self._new or framer.begun:
            phase = Phase.HEAD
        is_owing = phase in _OWING
        if (
            (phase is not self._timer.phase or is_owing)
            and self._timer.wait_for(phase, framer.heads_read if is_owing else 0)
            and is_owing
        ):
            self._ordered_at = NEVER
            self._limits.owes(self)
        if bool(self._unread) is not self._reading_paused:
            self._update_reading()

    def _update_reading(self) -> None:
        """While octets wait, no more are read."""
        if self._closing or self._transport is None:
            return
        if (bool(self._unread) and not self._waits_for_the_end()) is not self._reading_paused:
            self._reading_paused = not self._reading_paused
            if self._reading_paused:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def _waits_for_the_end(self) -> bool:
        """It has to be noticed that the client goes: whoever does not read on does not see it. A client that sends much meanwhile is not
        read on all the same.
        """
        return self._exchange is not None and len(self._unread) <= SLICE

    def _ask_for_body(self, request: Request) -> None:
        """Of a client that waits for that, when those before it have been answered (RFC 9110 §10.1.1)."""
        if request.expects and not request.status and not self._framer.body_size:
            request.status = 100
            self._write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _too_slow(self, phase: Phase) -> None:
        if phase is Phase.IDLE:
            left = self._since + SECONDS[phase] - monotonic()
            if self._current is not None:  # the client waits, perhaps for long
                self._timer.wait(SECONDS[phase])
            elif left > 0:
                self._timer.wait(max(left, 1.0))
            else:
                self._close()
        elif phase in (Phase.READ, Phase.READ_MUCH):
            self.make_way()
        else:
            text = f"The {phase.name.lower()} of a request took longer than {SECONDS[phase]:g} s"
            self._refuse(HttpError("REQUEST_TIMEOUT", text))

    def _refuse(self, error: HttpError) -> None:
        """The request that is coming, and all after it; answered when those before it are."""
        self._framer.refuse(error)
        self._schedule()

    def _end(self) -> None:
        """After the last answer. A client that is still sending would lose it if we did not read on (RFC 9112 §9.6)."""
        transport, cut = self._transport, self._framer.cut
        self._framer.close()
        self._unread = b""
        self._body_done()
        if transport is not None and cut and not self._stopping and transport.can_write_eof():
            self._closing = True
            self._timer.stop()
            transport.write_eof()
            if self._reading_paused:
                transport.resume_reading()
            self._loop.call_later(LINGERING_SECONDS, transport.abort)
        else:
            self._close()


_IDLE = Phase.IDLE
_HEARTBEAT = Kind.HEARTBEAT  # looking into an enum takes as long as all the rest of a test
_OWING = (Phase.HEAD, Phase.BODY)
