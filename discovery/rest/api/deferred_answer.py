"""Answers that come later, or in pieces for as long as the client stays: what a handler returns in place of an Answer.

The connection tells a `DeferredAnswer` what becomes of its client, and it answers by its `Client`. Nothing is awaited: a thousand of them
are a thousand small objects and no tasks.
"""

from __future__ import annotations

from typing import Protocol

from discovery.core.errors import DiscoveryError
from discovery.rest.api.answers import Answer


class Client(Protocol):
    """Whoever waits. `prefix`: of its address (`core.address`). `paused`: it does not read what it was sent; `resume` follows.

    After `answer`, `refuse`, `hand_on` and `end`, nothing more is asked of it.
    """

    @property
    def prefix(self) -> str: ...

    @property
    def paused(self) -> bool: ...

    def is_welcome(self) -> bool:
        """Whether it would be let in again, as who it was: tokens end, and are taken back."""

    def answer(self, answer: Answer) -> None: ...

    def refuse(self, error: DiscoveryError) -> None: ...

    def hand_on(self) -> None:
        """The handler of the same route answers; its request has `waited`."""

    def start(self, headers: dict[str, str]) -> None:
        """A 200 that ends when the connection does."""

    def write(self, octets: bytes) -> None:
        """Of what has been started."""

    def end(self) -> None: ...


class DeferredAnswer:
    """`begin` comes first, `ended` last, each once."""

    __slots__ = ()

    def begin(self, client: Client) -> None:
        """It may answer at once."""
        raise NotImplementedError

    def resume(self) -> None:
        """The client has read."""

    def stop(self) -> None:
        """The server is being stopped: to be answered or ended as soon as can be."""

    def ended(self) -> None:
        """It has been answered, or the client has gone."""
