"""Finds the instances of services: asked once, then kept true by the registry's events, so that looking one up costs nothing.

While the registry is away the last good list is served. One task follows the events of all names that were asked for; without a
stream (an older registry, too many watchers) a list is read again when it is older than MAX_AGE and somebody asks.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Collection, Iterable
from contextlib import aclosing
from dataclasses import replace
from http import HTTPStatus
from typing import NotRequired, Self, Unpack
from urllib.parse import quote

from typing_extensions import TypedDict

from discovery.client.access import Access
from discovery.client.choosing import Choice, Resting, Strategy
from discovery.client.errors import RegistryError
from discovery.client.event_stream import SILENCE, Connected, Disconnected, Event, Position, Reset, events
from discovery.client.instance import Instance, InstanceContent
from discovery.client.known import GRACE, Known
from discovery.client.registry_client import RegistryClient
from discovery.client.replies import OwnZone

_log = logging.getLogger("discovery.client")

MAX_AGE = 5.0  # seconds; as long as a DNS cache may keep an answer
# Names that are kept, since a name may come from a stranger's URL; beyond, the one not asked for longest is forgotten.
MAX_NAMES = 1024
# More names than this are not listed in the request for events: all events are read, and most of them are ignored.
MAX_FILTER = 64
# As they stand in a URL: of so many labels.
_MAX_FILTER_OCTETS = 4096
# Seconds in which more names may be asked for before the stream is asked for all of them.
_GATHER = 0.02
# Seconds until a list that came too late is read once more.
_AGAIN = 0.02
# After a gap all lists are read; so many requests at a time do not crowd out what else this process sends.
_READS_AT_A_TIME = 8
FIRST_PAUSE, LAST_PAUSE = 0.5, 30.0


class NoInstance(RegistryError):
    """Nobody of that service is there now."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no instance of {name!r} is registered and healthy")
        self.name = name


class _Resolved(TypedDict):
    instances: NotRequired[list[InstanceContent]]
    zone: NotRequired[OwnZone]


class Resolver:
    """Use it as `async with Resolver() as resolver`, one for a program: it keeps what it has learnt.

    >>> import asyncio
    >>> from discovery.client import Service
    >>> async def example():
    ...     async with Service("billing", port=3003), Resolver() as resolver:
    ...         instance = await resolver.pick("billing")
    ...         return instance.address
    >>> asyncio.run(example())
    '127.0.0.1:3003'
    """

    def __init__(self, *, strategy: Strategy = "weighted", silence: float = SILENCE, **access: Unpack[Access]) -> None:
        """`silence`: seconds without a sign of life after which the stream of events counts as broken. `access`: as RegistryClient."""
        self.strategy = strategy
        self._silence = silence
        self._registry = RegistryClient(**access)
        self._known: dict[str, Known] = {}  # by name in lower case, those asked for last at the end
        self._choices: dict[str, Choice] = {}
        self._resting = Resting()
        self._reads: dict[str, asyncio.Task[None]] = {}  # of names that are asked for the first time
        self._again: set[str] = set()  # names that are known, and wait to be read
        self._tasks: set[asyncio.Task[None]] = set()  # that read them
        self._at_a_time = asyncio.Semaphore(_READS_AT_A_TIME)
        self._followed: frozenset[str] = frozenset()  # by the stream as it is, or was last
        self._position = Position()
        self._live = False  # the stream is up, and what is known is true
        self._more_names = asyncio.Event()
        self._follower: asyncio.Task[None] | None = None
        self._trouble = ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def close(self) -> None:
        tasks = [*self._reads.values(), *self._tasks, *([self._follower] if self._follower else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._follower, self._live = None, False
        await self._registry.close()

    async def instances(self, name: str) -> tuple[Instance, ...]:
        """Those to connect to, the healthy before suspects; empty when there is nobody.

        The first time a name is asked for: RegistryError when the registry does not answer. Never later.
        """
        key = _fold(name)
        known = self._known.pop(key, None)
        if known is None:
            return (await self._first(key)).served
        self._known[key] = known
        if not self._live and time.monotonic() - known.read_at > MAX_AGE:
            self._read_soon(known)
        return known.served

    async def pick(self, name: str, strategy: Strategy | None = None) -> Instance:
        """One of them. NoInstance, or as `instances`."""
        instances = await self.instances(name)
        if not instances:
            raise NoInstance(name)
        awake = self._resting.awake(instances, time.monotonic())
        return self._choices.setdefault(_fold(name), Choice()).pick(awake, strategy or self.strategy)

    def failed(self, instance: Instance) -> None:
        """Somebody could not connect to it. Twice in 30 s, and it is passed over for 30 s, unless there is nobody else."""
        self._resting.failed(instance.address, time.monotonic())

    # -- reading

    async def _first(self, key: str) -> Known:
        if key not in self._reads:
            self._reads[key] = task = asyncio.create_task(self._learn(key))
            task.add_done_callback(lambda task: task.cancelled() or task.exception())  # nobody may wait any more
        await asyncio.shield(self._reads[key])  # whoever else waits for it must not lose it with us
        return self._known[key]

    async def _learn(self, key: str) -> None:
        known = Known(key)
        try:
            await self._read(known, certain=True)
        finally:
            del self._reads[key]
        self._known[key] = known
        if len(self._known) > MAX_NAMES:
            oldest = next(iter(self._known))
            del self._known[oldest]
            self._choices.pop(oldest, None)
        self._more_names.set()
        if self._follower is None:
            self._follower = asyncio.create_task(self._follow(), name="events of the registry")

    async def _read(self, known: Known, certain: bool) -> None:
        path = f"/resolve/{quote(known.name, safe='')}"
        reply = await self._registry.request("GET", path, accept=(HTTPStatus.NOT_FOUND,))
        content = reply.of_shape(_Resolved)
        found = [Instance.of(known.name, each) for each in content.get("instances", ())]
        known.has_zone = "zone" in content
        if "zone" in content:
            first = content["zone"]["first"]
            found = found[:first] + [replace(each, behind=True) for each in found[first:]]
        # Each server counts for itself, and where no events come there is nothing to compare with.
        index = reply.index if self._live and reply.url == self._position.url else None
        if not known.read(found, index, time.monotonic(), certain):
            # It was answered before an event that has been heard meanwhile.
            asyncio.get_running_loop().call_later(_AGAIN, self._read_soon, known)
        elif known.unconfirmed:
            asyncio.get_running_loop().call_later(GRACE, self._read_soon, known)

    def _read_soon(self, known: Known, certain: bool = False) -> None:
        """In the background; the list stays as it is when the registry does not answer."""
        key = known.name
        if key not in self._again and self._follower is not None and self._known.get(key) is known:
            self._again.add(key)
            task = asyncio.create_task(self._read_again(known, certain))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _read_again(self, known: Known, certain: bool) -> None:
        try:
            async with self._at_a_time:
                self._again.discard(known.name)  # from here on another may be wanted
                await self._read(known, certain)
        except Exception as error:
            known.read_at = time.monotonic()  # the next try is not before MAX_AGE
            self._warn_once(error)

    # -- following

    async def _follow(self) -> None:
        """Until it is cancelled: the events of all names that are known, again with more names when there are more."""
        pause = FIRST_PAUSE
        while True:
            self._more_names.clear()
            more = asyncio.create_task(self._more_names.wait())
            stream = asyncio.create_task(self._listen(frozenset(self._known)))
            try:
                await asyncio.wait({more, stream}, return_when=asyncio.FIRST_COMPLETED)
                if stream.done():
                    stream.result()
                pause = FIRST_PAUSE
                await asyncio.sleep(_GATHER)
            except Exception as error:  # whatever it is, the next try may succeed
                self._live = False
                self._warn_once(error)
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))
                pause = min(LAST_PAUSE, pause * 2)
            finally:
                more.cancel()
                stream.cancel()
                await asyncio.gather(more, stream, return_exceptions=True)

    async def _listen(self, names: frozenset[str]) -> None:
        async with aclosing(events(self._registry, self._position, self._silence, service=_filter(names))) as stream:
            async for item in stream:
                if isinstance(item, Event):
                    self._apply(item)
                elif isinstance(item, Disconnected):
                    self._live = False
                    self._warn_once(item.reason)
                elif isinstance(item, Reset):
                    self._read_all(names)
                elif isinstance(item, Connected):
                    self._connected(names, item.resumed)

    def _connected(self, names: frozenset[str], resumed: bool) -> None:
        """Only where we ended the stream ourselves, for more names, is nothing else to be read: after a break, lists that are read cost
        little, and are right whoever answers.
        """
        gap = not (resumed and self._live)
        self._live = True
        if self._trouble:
            _log.info("the registry's events are followed again")
            self._trouble = ""
        self._read_all(names if gap else names - self._followed, gap)
        self._followed = names

    def _read_all(self, names: Iterable[str], gap: bool = True) -> None:
        for name in names:
            if (known := self._known.get(name)) is not None:
                if gap:
                    known.restart()
                self._read_soon(known, certain=not gap)

    def _apply(self, event: Event) -> None:
        known = self._known.get(event.service or "")
        if known is not None and not known.apply(event):
            self._read_soon(known, certain=True)

    def _warn_once(self, trouble: object) -> None:
        """Once, until something else is wrong."""
        if str(trouble) != self._trouble:
            self._trouble = str(trouble)
            unforeseen = trouble if isinstance(trouble, Exception) and not isinstance(trouble, RegistryError) else None
            _log.warning("the lists of instances stay as they are: %s", trouble, exc_info=unforeseen)


def _fold(name: str) -> str:
    """As the registry compares names: by ASCII case."""
    return name.encode().lower().decode()


def _filter(names: Collection[str]) -> str | None:
    """Of the stream; None: all of it, for there are too many, or a name has a comma, which ends one there."""
    text = ",".join(sorted(names))
    is_fit = len(names) <= MAX_FILTER and len(quote(text)) <= _MAX_FILTER_OCTETS and text.count(",") == len(names) - 1
    return text if is_fit else None
