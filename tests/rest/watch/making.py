"""A registry with those who watch it, and clients that are told, without sockets."""

from __future__ import annotations

import asyncio
import json
from random import Random
from typing import Any
from unittest.mock import Mock

from discovery.core.errors import DiscoveryError
from discovery.rest.api.answers import Answer, DeferredAnswer
from discovery.rest.api.following.filters import EVENT_FILTERS, EventFilter
from discovery.rest.api.following.waiting import Wait
from discovery.rest.api.query import parse
from discovery.rest.api.resolving.resolving import Resolving
from discovery.rest.api.times import Times
from discovery.rest.watch.streams import Stream
from discovery.rest.watch.watch import Watch
from discovery.rest.watch.watchers import Watchers
from discovery.store.engine import Engine
from discovery.store.log import Log
from tests.driven import DrivenRegistry
from tests.routes import asked
from tests.store.making import START, WALL, a_registry, spec

# Of who is only asked.
NO_ENGINE: Engine = Mock(spec_set=())


class Watched:
    """A registry whose index begins at 100. Time of its own stands still; `now` is what polls for anything see."""

    def __init__(
        self, most: int = 10_000, most_of_prefix: int = 10_000, log: Log | None = None, has_other_nodes: bool = False
    ) -> None:
        self.now = 1000.0
        self.registry: DrivenRegistry = a_registry(index=100, log=log or Log(), max_instances=1000)
        times = Times(lambda: START, lambda: WALL)
        self.watchers = Watchers(most, most_of_prefix)
        self.watch = Watch(
            self.registry, times, Random(1), self.watchers, lambda caller: True, lambda: self.now, has_other_nodes
        )
        self.registry.index_followers.append(self.watch.follow)
        self.resolving = Resolving(self.registry, NO_ENGINE, lambda: START, times, Random(1), self.watch.polls)

    # -- what happens

    def register(self, name: str = "web", port: int = 80, **fields: Any) -> int:
        """The index after it."""
        self.registry.register(spec(name, port=port, **fields), START, WALL)
        return self.registry.index

    # -- who watches

    def resolve(self, target: str) -> Told:
        """GET /resolve/`target`, which waits."""
        request = asked("GET", f"/resolve/{target}")
        request.keeps = True
        held = self.resolving.resolve(request)
        assert isinstance(held, DeferredAnswer), held
        return Told(held)

    def services(self, index: int, seconds: float = 60) -> Told:
        return Told(self.watch.polls.of_services(Wait(index, seconds)))

    def events(self, query: str = "", since: int | None = None, with_actor: bool = True, **options: Any) -> Told:
        asked = EventFilter.of(parse(query, EVENT_FILTERS))
        return Told(Stream(self.watch._streams, asked, since, with_actor), **options)


class Told:
    """A client, and what it was told. `handed_on`, `is_over`. `reads`: False: what it is sent fills its buffer."""

    def __init__(self, held: DeferredAnswer, prefix: str = "10.0.0.9", reads: bool = True) -> None:
        self.held = held
        self.prefix = prefix
        self.reads = reads
        self.paused = self.handed_on = self.is_over = False
        self.welcome = True
        self.answers: list[Answer] = []
        self.errors: list[DiscoveryError] = []
        self.headers: dict[str, str] = {}
        self.octets = b""
        self.largest = 0
        held.begin(self)

    # -- `held.Client`

    def is_welcome(self) -> bool:
        return self.welcome

    def answer(self, answer: Answer) -> None:
        self.answers.append(answer)
        self._over()

    def refuse(self, error: DiscoveryError) -> None:
        self.errors.append(error)
        self._over()

    def hand_on(self) -> None:
        self.handed_on = True
        self._over()

    def start(self, headers: dict[str, str]) -> None:
        self.headers = headers

    def write(self, octets: bytes) -> None:
        assert not self.is_over
        self.octets += octets
        self.largest = max(self.largest, len(octets))
        self.paused = self.paused or not self.reads

    def end(self) -> None:
        self._over()

    def _over(self) -> None:
        assert not self.is_over
        self.is_over = True
        asyncio.get_running_loop().call_soon(self.held.ended)

    # -- what the test does

    def read(self) -> None:
        self.paused = False
        self.held.resume()

    def leave(self) -> None:
        self.is_over = True
        self.held.ended()

    @property
    def body(self) -> Any:
        [answer] = self.answers
        assert isinstance(answer.body, bytes)
        return json.loads(answer.body)

    def messages(self) -> list[tuple[str, int | None, Any]]:
        """Event, id and data of each, comments left out."""
        return messages(self.octets)


def messages(octets: bytes) -> list[tuple[str, int | None, Any]]:
    """As an EventSource reads them: what is not whole is dropped."""
    found = []
    for block in octets.decode().split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
        if "data" in fields:
            id = int(fields["id"]) if "id" in fields else None
            found.append((fields.get("event", "message"), id, json.loads(fields["data"])))
    return found


async def quiet() -> None:
    """All that follows from what has happened has happened."""
    for _ in range(100):
        await asyncio.sleep(0)
