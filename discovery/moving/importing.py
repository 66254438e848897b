"""`discovery import`: copies what a source has into the registry, renews it, and leaves alone what registers here itself."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from http import HTTPStatus
from typing import Any, NamedTuple, NotRequired
from urllib.parse import quote

from typing_extensions import TypedDict

from discovery.client import Event, NotARegistry, Refused, RegistryClient, RegistryError, events
from discovery.moving.found import Json, Key, Source, SourceAway, understood
from discovery.moving.plan import Here, Plan, plan

# Seconds of a lease and between two renewals; many are renewed more seldom, so that half of a server's REGISTERS_PER_SECOND (500) is left.
_TTL, _EVERY, _PER_SECOND = 30.0, 10.0, 250
# Of one that copies once and goes: the longest that a registry gives.
_ONCE_TTL = 3600.0
# Of one request: instances; octets; and commas, lists and objects. A server reads twice as much of one body, or more.
_AT_ONCE, _OCTETS, _WORK = 200, 512 * 1024, 60_000
# Seconds between two tries of what is away; of a source twice as many each time, up to the second.
_AGAIN, _MOST_AGAIN = 1.0, 15.0
# Seconds after a change in which others are waited for.
_TOGETHER = 0.05
# Of the registry's events, those that may leave room for a copy: who came itself has gone.
_GONE = "deregistered,expired,unhealthy"

Tell = Callable[[str], object]


# Of what the registry says, the fields that are read here.
class _Instance(TypedDict):
    id: str
    name: str
    ip: str
    port: int | None
    status: str
    tags: NotRequired[list[str]]
    metadata: NotRequired[dict[str, Any]]
    weight: NotRequired[int]


class _Service(TypedDict):
    instances: list[_Instance]


class _Page(TypedDict):
    services: dict[str, _Service]
    next: str | None


class _Result(TypedDict):
    status: int
    code: NotRequired[str]
    message: NotRequired[str]


class _Results(TypedDict):
    results: list[_Result]


async def registered(registry: RegistryClient) -> list[Mapping[str, Any]]:
    """All instances, as the registry lists them. RegistryError."""
    after: str | None = ""
    found: list[Mapping[str, Any]] = []
    while after is not None:
        reply = await registry.request("GET", "/services", params={"limit": 100, "after": after})
        page = reply.of_shape(_Page)
        for service in page["services"].values():
            found += service["instances"]
        before, after = after, page["next"]
        if after == before:
            raise NotARegistry(reply.url, "a list of services that begins again where it was")
    return found


class _Sent(NamedTuple):
    body: Json
    at: float  # monotonic


class Import:
    """`hold`: seconds for which copies are held while the source, or this, is away. `is_meant`: which services, by folded name. `tell`: a
    line for people.
    """

    def __init__(
        self, registry: RegistryClient, source: Source, hold: float, is_meant: Callable[[str], bool], tell: Tell
    ) -> None:
        self._registry = registry
        self._source = source
        self._hold = hold
        self._is_meant = is_meant
        self._tell = tell
        self._told: dict[Key, str] = {}  # what was said of each that is refused
        self._is_here = False  # the source: what it has is known
        self._changed = asyncio.Event()
        self._what: Plan | None = None  # None: it is to be made anew
        self._planned_at = 0.0
        self._sent: dict[Key, _Sent] = {}
        self._last: tuple[int, int] | None = None  # how many were renewed and left, when that was told

    async def plan(self) -> Plan:
        """Of now. SourceAway, RegistryError."""
        with understood(self._source.name):
            await self._source.read()
        what = await self._plan()
        self._last = (len(what.put), len(what.left))
        return what

    async def _plan(self) -> Plan:
        with understood(self._source.name):
            found = self._source.found
        return plan(found, Here.of(await registered(self._registry), self._source.name), self._is_meant)

    async def carry_out(self, what: Plan, ttl: float = _ONCE_TTL) -> int:
        """How many are copied now, with leases of `ttl` seconds. RegistryError."""
        await self._remove(what)
        return await self._send(what.put, list(what.put), ttl)

    async def follow(self) -> None:
        """For ever. What is away is tried again."""
        following = [asyncio.create_task(each) for each in (self._follow_source(), self._follow_registry())]
        trouble = ""
        try:
            while True:
                pause = _EVERY
                try:
                    if self._is_here:
                        pause, trouble = await self._round(), ""
                except SourceAway as error:
                    self._lose(error)
                except RegistryError as error:
                    if str(error) != trouble:
                        self._tell(f"{error}; it is tried again")
                    pause, trouble, self._what = _AGAIN, str(error), None
                if await self._wait(pause, following):
                    self._what = None
        finally:
            for task in following:
                task.cancel()
            await asyncio.gather(*following, return_exceptions=True)

    async def _round(self) -> float:
        """What has changed, and then the next of those that are due. Seconds until there is more to do. SourceAway, RegistryError."""
        if self._what is None:
            self._what, self._planned_at = await self._plan(), time.monotonic()
            await self._begin(self._what)
        what, now = self._what, time.monotonic()
        # Not those whose copy was sent when they went, and that were back before it came.
        self._sent = {key: sent for key, sent in self._sent.items() if key in what.put}
        every = max(_EVERY, 2 * len(what.put) / _PER_SECOND)
        changed = [key for key, body in what.put.items() if key not in self._sent or self._sent[key].body != body]
        due = sorted(
            (key for key, sent in self._sent.items() if sent.at + every <= now), key=lambda key: self._sent[key].at
        )
        await self._send(what.put, [*changed, *due[:_AT_ONCE]], min(max(_TTL, 3 * every), _ONCE_TTL))
        if len(due) > _AT_ONCE:
            return _AT_ONCE / _PER_SECOND
        if time.monotonic() >= self._planned_at + every:
            self._what = None
        next_at = min((sent.at + every for sent in self._sent.values()), default=now + _EVERY)
        return max(0.0, min(_EVERY, next_at - time.monotonic()))

    async def _begin(self, what: Plan) -> None:
        """What was sent and is gone here is to be sent again."""
        await self._remove(what)
        self._told = {key: message for key, message in self._told.items() if key in what.put}
        self._sent = {key: sent for key, sent in self._sent.items() if key not in what.new}
        if (now := (len(what.put), len(what.left))) != self._last or what.remove or what.unsure:
            self._last = now
            self._tell("; ".join([*what.lines()][:4]))

    async def _wait(self, seconds: float, following: Iterable[asyncio.Task[None]]) -> bool:
        """Until something has changed there, or has gone here, at most so long. Whether it has."""
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
                await asyncio.sleep(_TOGETHER)
        except TimeoutError:
            for task in following:
                if task.done():
                    task.result()
        is_changed = self._changed.is_set()
        self._changed.clear()
        return is_changed

    async def _follow_source(self) -> None:
        pause = _AGAIN
        while True:
            began = time.monotonic()
            try:
                with understood(self._source.name):
                    await self._source.follow(self._take)
            except SourceAway as error:
                if self._is_here or pause == _AGAIN:
                    self._lose(error)
            pause = _AGAIN if time.monotonic() - began > _MOST_AGAIN else min(2 * pause, _MOST_AGAIN)
            await asyncio.sleep(pause)

    def _take(self) -> None:
        self._is_here = True
        self._changed.set()

    def _lose(self, error: SourceAway) -> None:
        """What it had is not renewed: nobody knows whether it lives."""
        self._is_here, self._what = False, None
        self._sent.clear()
        self._tell(
            f"{error}; what was copied from it is held for {self._hold:g} s after its lease, and it is tried again"
        )

    async def _follow_registry(self) -> None:
        """Who has gone back has registered there, and deregisters here: its copy stands in for it at once."""
        while True:
            try:
                async with aclosing(events(self._registry, kind=_GONE)) as gone:
                    async for item in gone:
                        before = item.before if isinstance(item, Event) else None
                        if before is not None and before.get("importedFrom") != self._source.name:
                            self._changed.set()
                            key, what = Key.of(before), self._what
                            if what is not None and (body := what.left.get(key) or what.put.get(key)):
                                await self._send({key: body}, [key], _TTL)
            except RegistryError:  # the rounds tell of it
                await asyncio.sleep(_AGAIN)

    async def _send(self, bodies: Mapping[Key, Json], keys: Sequence[Key], ttl: float) -> int:
        """In parts that a server's rate allows. How many it took."""
        about = {"ttl": ttl, "hold": self._hold, "importedFrom": self._source.name}
        count = sent = 0
        for part in _parts([(key, bodies[key]) for key in keys]):
            await asyncio.sleep(sent / _PER_SECOND)
            sent = len(part)
            if sent == 1 and _share(bodies[part[0]]) > 1:
                results: list[_Result] = [{"status": 413, "message": "so much is said of it that no request has it"}]
            else:
                items = [body if "lease" in body else body | about for body in map(bodies.__getitem__, part)]
                reply = await self._registry.request("POST", "/registrations", json={"instances": items})
                results = reply.of_shape(_Results)["results"]
                if len(results) != len(part):
                    raise NotARegistry(reply.url, f"{len(results)} results about {len(part)} instances")
            for key, result in zip(part, results, strict=True):
                if result.get("code") != "TOO_MANY_REGISTRATIONS":
                    self._sent[key] = _Sent(bodies[key], time.monotonic())
                    self._note(key, result)
            count += sum(result["status"] < HTTPStatus.MULTIPLE_CHOICES for result in results)
        return count

    def _note(self, key: Key, result: _Result) -> None:
        """What is refused is told once; a missing right not of each."""
        if result["status"] < HTTPStatus.MULTIPLE_CHOICES:
            self._told.pop(key, None)
        elif self._told.get(key) != (message := result.get("message", "no reason is given")):
            if message not in self._told.values():
                self._tell(f"{key} is not copied: {message}")
            self._told[key] = message

    async def _remove(self, what: Plan) -> None:
        """Unless they have come themselves meanwhile, or are gone."""
        for id in what.remove.values():
            try:
                params = {"importedFrom": self._source.name}
                await self._registry.request(
                    "DELETE", f"/instances/{quote(id, safe='')}", params=params, accept=(404, 409)
                )
            except Refused as error:
                self._tell(str(error))


def _parts(bodies: Iterable[tuple[Key, Json]]) -> Iterator[list[Key]]:
    """Each fits one request, or is a single one that fits none."""
    part, left = list[Key](), 0.0
    for key, body in bodies:
        if (share := _share(body)) > left:
            if part:
                yield part
            part, left = [], 1 + 1e-9
        part.append(key)
        left -= share
    if part:
        yield part


def _share(body: Json) -> float:
    """Of one request."""
    text = json.dumps(body)
    work = text.count(",") + 3 * (text.count("[") + text.count("{"))
    return max(1 / _AT_ONCE, len(text) / _OCTETS, work / _WORK)
