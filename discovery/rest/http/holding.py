"""One request whose answer is deferred: beside `exchange.Exchange`, the other way to answer later. It is the `Client` that a
`DeferredAnswer` answers by.

No task and no timer of its own, so that thousands of them cost little.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from discovery.core.address import client_prefix
from discovery.core.errors import DiscoveryError
from discovery.rest.api.answers import Answer
from discovery.rest.api.deferred_answer import DeferredAnswer
from discovery.rest.api.requests import Request
from discovery.rest.http.front import Front

# Octets that wait for a client that reads a stream; then it is `paused`. What it is sent next comes on top.
STREAM_BUFFER = 8 * 1024


class Holding:
    """`on_end()` is called once, when it has been answered. `begun`: a stream has; it ends when its client goes. `answered`: all of it, so
    that the connection can go on. `handed_on`: to the handler, which is to answer after all.
    """

    __slots__ = (
        "_address",
        "_client",
        "_front",
        "_held",
        "_on_end",
        "answered",
        "begun",
        "handed_on",
        "paused",
        "request",
    )

    # The client is gone when it has sent its last octet: nobody who waits says good-bye first.
    ends_with_client = True

    def __init__(
        self, request: Request, held: DeferredAnswer, client: asyncio.Transport, front: Front, address: str, on_end: Callable[[], None]
    ) -> None:  # fmt: skip
        self.request = request
        self.begun = self.answered = self.handed_on = self.paused = False
        self._held = held
        self._client = client
        self._front = front
        self._address = address
        self._on_end = on_end

    # -- what the connection calls

    def begin(self) -> None:
        self._held.begin(self)

    def lost(self, exc: Exception | None) -> None:
        """The client has left, or everything has been said."""
        self._held.ended()

    def stop(self) -> None:
        self._held.stop()

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        self._held.resume()

    # -- what the held answer calls

    @property
    def prefix(self) -> str:
        return client_prefix(self.request.address)

    def is_welcome(self) -> bool:
        before = self.request.caller
        try:
            self._front.admit(self.request, self._address)
        except DiscoveryError:
            return False
        return self.request.caller == before

    def answer(self, answer: Answer) -> None:
        self._client.write(self._front.octets(self.request, answer))
        self.answered = True
        self._on_end()

    def refuse(self, error: DiscoveryError) -> None:
        self.answer(self._front.refused(self.request, error))

    def hand_on(self) -> None:
        self.request.waited = self.handed_on = True
        self._on_end()

    def start(self, headers: dict[str, str]) -> None:
        self.begun = True
        self.request.keeps = False
        self._client.set_write_buffer_limits(high=STREAM_BUFFER)
        self._client.write(self._front.head(self.request, headers))

    def write(self, octets: bytes) -> None:
        self._client.write(octets)

    def end(self) -> None:
        self._on_end()
