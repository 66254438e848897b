"""`discovery import`: copies what a source has into the registry, renews it, and leaves alone what registers here itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import aclosing
from typing import Any
from urllib.parse import quote

from discovery.client import Event, Refused, RegistryClient, RegistryError, events
from discovery.moving.found import Json, Key, Source, SourceAway, understood
from discovery.moving.plan import Here, Plan, plan

# Seconds of a lease and between two renewals; many are renewed more seldom, so that half of a server's REGISTERS_PER_SECOND (500) is left.
_TTL, _EVERY, _PER_SECOND = 30.0, 10.0, 250
# Of one that copies once and goes: the longest that a registry gives.
_ONCE_TTL = 3600.0
# Instances of one request.
_AT_ONCE = 200
# Seconds between two tries of a source that is away: twice as many each time, up to the second.
_AGAIN, _MOST_AGAIN = 1.0, 15.0
# Seconds after a change in which others are waited for.
_TOGETHER = 0.05
# Of the registry's events, those that may leave room for a copy: who came itself has gone.
_GONE = "deregistered,expired,unhealthy"

Tell = Callable[[str], object]


async def registered(registry: RegistryClient) -> list[Mapping[str, Any]]:
    """All instances, as the registry lists them. RegistryError."""
    after: str | None = ""
    found: list[Mapping[str, Any]] = []
    while after is not None:
        page = (await registry.request("GET", "/services", params={"limit": 100, "after": after})).content
        for service in page["services"].values():
            found += service["instances"]
        after = page["next"]
    return found


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
        self._sent: dict[Key, Json] = {}
        self._due = 0.0  # when all are renewed next
        self._last: tuple[int, int] | None = None  # how many were renewed and left, when that was told

    async def plan(self) -> Plan:
        """Of now. SourceAway, RegistryError."""
        with understood(self._source.name):
            await self._source.read()
        return await self._plan()

    async def _plan(self) -> Plan:
        with understood(self._source.name):
            found = self._source.found
        return plan(found, Here.of(await registered(self._registry), self._source.name), self._is_meant)

    async def carry_out(self, what: Plan, ttl: float = _ONCE_TTL, all: bool = True) -> int:
        """How many are copied now, with leases of `ttl` seconds. `all` False: what was sent as it is stays as it is. RegistryError."""
        for id in what.remove.values():
            await self._remove(id)
        about = {"ttl": ttl, "hold": self._hold, "importedFrom": self._source.name}
        items = [
            (key, body if "lease" in body else body | about)
            for key, body in what.put.items()
            if all or key in what.new or self._sent.get(key) != body
        ]
        self._sent = dict(what.put)
        self._told = {key: message for key, message in self._told.items() if key in what.put}
        count = 0
        for start in range(0, len(items), _AT_ONCE):
            if start >= _AT_ONCE:
                await asyncio.sleep(_AT_ONCE / _PER_SECOND)
            count += await self._put(items[start : start + _AT_ONCE])
        return count

    async def follow(self) -> None:
        """For ever. What is away is tried again."""
        following = [asyncio.create_task(each) for each in (self._follow_source(), self._follow_registry())]
        try:
            while True:
                pause = _EVERY
                try:
                    if self._is_here:
                        await self._round()
                        pause = max(0.0, min(pause, self._due - time.monotonic()))
                except SourceAway as error:
                    self._lose(error)
                except RegistryError as error:
                    self._tell(f"{error}; it is tried again")
                    pause, self._due = 1.0, 0.0
                await self._wait(pause, following)
        finally:
            for task in following:
                task.cancel()
            await asyncio.gather(*following, return_exceptions=True)

    async def _round(self) -> None:
        """What has changed; all, when that is due. SourceAway, RegistryError."""
        what, is_due = await self._plan(), time.monotonic() >= self._due
        every = max(_EVERY, len(what.put) / _PER_SECOND * 2)
        if is_due:
            self._due = time.monotonic() + every
        await self.carry_out(what, min(max(_TTL, 3 * every), _ONCE_TTL), is_due)
        if (now := (len(what.put), len(what.left))) != self._last or what.remove or what.unsure:
            self._last = now
            self._tell("; ".join([*what.lines()][:4]))

    async def _wait(self, seconds: float, following: Iterable[asyncio.Task[None]]) -> None:
        """Until something has changed there, or has gone here, at most so long."""
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
                await asyncio.sleep(_TOGETHER)
        except TimeoutError:
            for task in following:
                if task.done():
                    task.result()
        self._changed.clear()

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
        self._is_here, self._due = False, 0.0
        self._tell(
            f"{error}; what was copied from it is held for {self._hold:g} s after its lease, and it is tried again"
        )

    async def _follow_registry(self) -> None:
        while True:
            try:
                async with aclosing(events(self._registry, kind=_GONE)) as gone:
                    async for item in gone:
                        before = item.before if isinstance(item, Event) else None
                        if before is not None and before.get("importedFrom") != self._source.name:
                            self._changed.set()
            except RegistryError:  # the rounds tell of it
                await asyncio.sleep(_AGAIN)

    async def _put(self, items: list[tuple[Key, Json]]) -> int:
        reply = await self._registry.request("POST", "/registrations", json={"instances": [body for _, body in items]})
        results: Iterable[Mapping[str, Any]] = reply.content["results"]
        count = 0
        for (key, _), result in zip(items, results, strict=True):
            message = result.get("message", "")
            if result["status"] < 300:
                count += 1
                self._told.pop(key, None)
            elif result.get("code") != "TOO_MANY_REGISTRATIONS" and self._told.get(key) != message:
                if message not in self._told.values():  # a missing right is told once, not of each
                    self._tell(f"{key} is not copied: {message}")
                self._told[key] = message
        return count

    async def _remove(self, id: str) -> None:
        """Unless it has come itself meanwhile, or is gone."""
        try:
            await self._registry.request(
                "DELETE",
                f"/instances/{quote(id, safe='')}",
                params={"importedFrom": self._source.name},
                accept=(404, 409),
            )
        except Refused as error:
            self._tell(str(error))
