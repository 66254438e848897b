"""What happens in the registry, as it happens: `GET /events`, followed over broken connections, restarts and failovers.

A stream that breaks is taken up where it ended (Last-Event-ID). Where that cannot be - another server, which counts for itself, or
nothing was heard yet - what happened in between is lost, and `Connected.resumed` says so.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, NotRequired

import aiohttp
from typing_extensions import TypedDict

from discovery.client.errors import Attempt, NotARegistry, Refused, RegistryError, Unreachable
from discovery.client.instance import InstanceContent
from discovery.client.messages import Message, Messages
from discovery.client.registry_client import Params, RegistryClient
from discovery.client.replies import UNANSWERED, checked, index_of, number_in, parsed, why

PATH = "/events"
# The server sends a comment every 15 s, spread; two may be late.
SILENCE = 40.0
# Seconds before a server that could not be reached is tried again: the first, doubled each time up to the last, half of it by chance.
FIRST_PAUSE, LAST_PAUSE = 0.25, 5.0


@dataclass(frozen=True)
class Connected:
    """`resumed`: it goes on where the last one ended. False for the first connection, and where another registry answers or one that has
    started again without its memory: read anew what you keep.
    """

    url: str
    resumed: bool


@dataclass(frozen=True)
class Disconnected:
    """It is tried again; until the next Connected, what you keep may be out of date."""

    reason: str


@dataclass(frozen=True)
class Reset:
    """What happened between your position and `oldest` is no longer known: read anew. Events go on after `index`."""

    index: int
    oldest: int


class EventContent(TypedDict):
    index: int
    kind: str
    service: str | None
    instance: InstanceContent | None
    before: InstanceContent | None
    reason: NotRequired[str]
    timestamp: NotRequired[str]
    actor: NotRequired[dict[str, Any] | None]


class _ResetContent(TypedDict):
    index: int
    oldest: int


@dataclass(frozen=True)
class Event:
    """One change. `instance`: what it is now, `before`: what it was, both as GET /instances/ID shows what was registered, or None.

    `service`: in lower case; None: of no service (zone files). `content`: the whole message, with `actor` and `timestamp`.
    """

    index: int
    kind: str
    service: str | None
    instance: InstanceContent | None
    before: InstanceContent | None
    reason: str
    content: EventContent


Item = Connected | Disconnected | Reset | Event


async def events(
    registry: RegistryClient, since: int | Position | None = None, silence: float = SILENCE, **filters: str | int | None
) -> AsyncGenerator[Item, None]:
    """For ever; end it with `aclose`. `since`: an index to go on from, None: from now on. A Position is moved along, so that a later
    call, with other filters say, goes on where this one ended.

    `filters`: `service` (names, comma separated), `kind`, `tag`, `zone`, `port`, and `meta.KEY`. `silence`: seconds without an octet
    after which a connection counts as broken.
    Unreachable when no server answers the first time, Refused when the request is (bad filter, missing right). NotARegistry.
    """
    position = since if isinstance(since, Position) else Position(since)
    first, pause = True, FIRST_PAUSE
    while True:
        try:
            async with _connected(registry, position, silence, filters) as (connected, response):
                first, pause = False, FIRST_PAUSE
                yield connected
                async for item in _read(response, position):
                    yield item
            reason = "it ended the stream"
        except (Unreachable, NotARegistry, Refused) as error:
            if first or (isinstance(error, Refused) and not error.passing):
                raise
            reason = str(error)
            pause = max(pause, (error.retry_after or 0.0) if isinstance(error, Refused) else 0.0)
        except UNANSWERED as error:
            reason = why(error, silence)
        yield Disconnected(reason)
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))
        pause = min(LAST_PAUSE, pause * 2)


class Position:
    """Where a stream goes on. It is one server's: another counts for itself."""

    def __init__(self, since: int | None = None) -> None:
        self.url: str | None = None
        self.since = since
        self.id = ""
        self._log_start: int | None = None

    def at(self, url: str) -> bool:
        """Whether the stream goes on at that server with nothing missed; from now on it is that server's."""
        if self.url not in (None, url):
            self.since, self.id, self._log_start = None, "", None
        self.url = url
        return bool(self.id) or self.since is not None

    def is_of_another_log(self, response: aiohttp.ClientResponse) -> bool:
        """A registry that has started again without its memory may count over numbers that it had given. Its log is read from its start."""
        before, self._log_start = self._log_start, number_in(response.headers, "X-Registry-Log-Start")
        seen = int(self.id) if self.id.isdecimal() else self.since
        if before is None or self._log_start in (None, before) or seen is None or seen <= self._log_start:
            return False
        self.since, self.id = self._log_start, ""
        return True

    def begins_at(self, response: aiohttp.ClientResponse) -> None:
        """A server that says where the stream begins spares us a gap when it breaks before the first event."""
        if not self.id and self.since is None:
            self.since = index_of(response.headers)


@asynccontextmanager
async def _connected(
    registry: RegistryClient, position: Position, silence: float, filters: Params
) -> AsyncIterator[tuple[Connected, aiohttp.ClientResponse]]:
    """The stream of the first server that has one. Unreachable, or what the last one said: Refused, NotARegistry."""
    tried: list[Attempt] = []
    failure: RegistryError | None = None
    async with AsyncExitStack() as stack:
        for url in registry.servers:
            resumed = position.at(url)
            try:
                response = await stack.enter_async_context(_stream(registry, url, position, silence, filters))
                if position.is_of_another_log(response):
                    resumed = False
                    response.close()
                    response = await stack.enter_async_context(_stream(registry, url, position, silence, filters))
            except UNANSWERED as error:
                tried.append(Attempt(url, why(error, registry.timeout, url)))
            except (NotARegistry, Refused) as error:
                failure = error
            else:
                registry.servers.answered(url)
                position.begins_at(response)
                yield Connected(url, resumed), response
                return
    raise failure or Unreachable(tried)


def _stream(
    registry: RegistryClient, url: str, position: Position, silence: float, filters: Params
) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
    params = {**filters, "since": None if position.id else position.since}
    headers = {"Last-Event-ID": position.id} if position.id else {}
    return registry.stream(url, PATH, params, headers, silence)


async def _read(response: aiohttp.ClientResponse, position: Position) -> AsyncGenerator[Event | Reset, None]:
    messages = Messages()
    try:
        async for piece in response.content.iter_any():
            for message in messages.feed(piece):
                item = _item(message, position.url or "")
                position.id = message.id or position.id
                yield item
    except ValueError:
        raise NotARegistry(position.url or "", "events that cannot be read") from None


def _item(message: Message, url: str) -> Event | Reset:
    content = parsed(message.data)
    if message.event == "reset":
        reset = checked(content, _ResetContent, url)
        return Reset(reset["index"], reset["oldest"])
    content = checked(content, EventContent, url)
    return Event(
        index=content["index"],
        kind=content["kind"],
        service=content["service"],
        instance=content["instance"],
        before=content["before"],
        reason=content.get("reason", ""),
        content=content,
    )
