"""An answer as handlers make it; and answers that come later, or in pieces for as long as the client stays, which handlers return in place
of one.

The connection tells a `DeferredAnswer` what becomes of its client, and it answers by its `Client`. Nothing is awaited: a thousand of them
are a thousand small objects and no tasks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol

import orjson

from discovery.core.errors import DiscoveryError
from discovery.rest.api.times import Times

JSON = "application/json"
# On every answer: the registry's index, or that of the service that the answer is about.
INDEX = "X-Registry-Index"
# While this node does not hear of what happens at the others: for how many seconds.
STALE = "X-Registry-Stale"

# RFC 9110 §8.6: they have no length either.
WITHOUT_BODY = (204, 304)

# What an answer says, as JSON. A handler that returns this and no Answer means a 200 with it, `stamped`.
Json = dict[str, Any]
# Made as the client reads it: octets, and nothing now and then, which is a moment to let others have their turn.
Pieces = Iterator[bytes]


class Reader(Protocol):
    def adopt(self, octets: int) -> None:
        """So many are kept for its sake alone."""


class KeptBody:
    """Octets that many are given. They count once while they are the newest; then for the first of those who have yet to read them."""

    __slots__ = ("_owner", "_readers", "_superseded", "octets")

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self._readers: dict[Reader, None] = {}
        self._owner: Reader | None = None
        self._superseded = False

    def __len__(self) -> int:
        return len(self.octets)

    def begin(self, reader: Reader) -> None:
        self._readers[reader] = None
        if self._superseded and self._owner is None:
            self._give_on()

    def end(self, reader: Reader) -> None:
        self._readers.pop(reader, None)
        if self._owner is reader:
            self._give_on()

    def supersede(self) -> None:
        """There is a newer one."""
        self._superseded = True
        self._give_on()

    def _give_on(self) -> None:
        self._owner = next(iter(self._readers), None)
        if self._owner is not None:
            self._owner.adopt(len(self.octets))


class Answer(NamedTuple):
    """`body`: of this `media` ("": it has no type), or empty. `headers`: those that not every answer has. `index`: of what it is about;
    None: the registry's.
    """

    status: int
    body: bytes | KeptBody | Pieces
    headers: Mapping[str, str] = {}
    index: int | None = None  # type: ignore[assignment]  # hides tuple.index, which nobody asks
    media: str = JSON


def stamped(content: Json, times: Times) -> bytes:
    """The JSON of an answer, which says when it was made, and how old what it says is."""
    return orjson.dumps(times.stamp(content))


def whole(found: Answer | Json, times: Times) -> Answer:
    """What a handler has returned."""
    return found if isinstance(found, Answer) else Answer(200, stamped(found, times))


# -- answers that come later


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
