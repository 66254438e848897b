"""One request whose answer is deferred: it is the `Client` that a `DeferredAnswer` answers by.

No task and no timer of its own, so that thousands of them cost little.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from discovery.core.address import client_prefix
from discovery.core.errors import DiscoveryError
from discovery.rest.api.answers import Answer, DeferredAnswer
from discovery.rest.api.requests import Request
from discovery.rest.http.front import Front


class DeferredExchange:
    """`on_end()` is called once. Then `outcome` is the answer; or it was `handed_on` to the handler, which is to answer after all; or a
    stream has ended, and its connection with it. `begun`: a stream has.
    """

    __slots__ = (
        "_address",
        "_client",
        "_deferred",
        "_front",
        "_on_end",
        "begun",
        "handed_on",
        "outcome",
        "paused",
        "request",
    )

    def __init__(
        self, request: Request, deferred: DeferredAnswer, client: asyncio.Transport, front: Front, address: str,
        on_end: Callable[[], None],
    ) -> None:  # fmt: skip
        self.request = request
        self.outcome: Answer | None = None
        self.begun = self.handed_on = self.paused = False
        self._deferred = deferred
        self._client = client
        self._front = front
        self._address = address
        self._on_end = on_end

    # -- what the connection calls

    def begin(self) -> None:
        self._deferred.begin(self)

    def lost(self) -> None:
        """The client has left, or everything has been said."""
        self._deferred.ended()

    def stop(self) -> None:
        self._deferred.stop()

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        self._deferred.resume()

    # -- what the deferred answer calls

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
        self.outcome = answer
        self._on_end()

    def refuse(self, error: DiscoveryError) -> None:
        self.answer(self._front.refused(self.request, error))

    def hand_on(self) -> None:
        self.request.waited = self.handed_on = True
        self._on_end()

    def start(self, headers: dict[str, str]) -> None:
        self.begun = True
        self.request.keeps = False
        self.write(self._front.head(self.request, headers))

    def write(self, octets: bytes) -> None:
        if not self._client.is_closing():
            self._client.write(octets)

    def end(self) -> None:
        self._on_end()
