"""`discovery sync`: tells another registry what registers here, for as long as it registers here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from discovery.client import RegistryClient, RegistryError
from discovery.moving.found import MARK, SourceAway, SourceError, Target, understood
from discovery.moving.importing import Tell, registered
from discovery.moving.plan import is_doubtful

# Seconds between two rounds: a third of the leases there.
EVERY = 10.0
# Instances that are told of at a time: one after the other thousands would take longer than their leases.
_AT_ONCE = 16
_SERVED = ("healthy", "suspect")


def told(instances: list[Mapping[str, Any]], is_meant: Callable[[str], bool]) -> dict[str, Mapping[str, Any]]:
    """What is to be told, by id: what is in the answers here, and came here by itself."""
    return {
        str(each["id"]): each
        for each in instances
        if each["status"] in _SERVED
        and "importedFrom" not in each
        and MARK not in each.get("metadata", {})
        and is_meant(each["name"].lower())
    }


def _contents(instance: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is told of it: not its beats."""
    return {name: instance.get(name) for name in ("name", "ip", "port", "tags", "metadata", "weight")}


class Sync:
    """What another registry's sync has told to the same place is left alone. While this registry does not answer, all that was told last
    is kept alive there; also by one that was started meanwhile.
    """

    def __init__(self, registry: RegistryClient, target: Target, is_meant: Callable[[str], bool], tell: Tell) -> None:
        self._registry = registry
        self._target = target
        self._is_meant = is_meant
        self._tell = tell
        self._listed: set[str] | None = None  # ids of all that is registered; None: not known yet
        self._wanted: dict[str, Mapping[str, Any]] = {}
        self._done: dict[str, Mapping[str, Any]] = {}  # contents as they were told, by id
        self._beats_at = 0.0
        self._doubted = 0  # how many were gone
        self._trouble = ""

    async def follow(self) -> None:
        """For ever."""
        index = 0
        while True:
            try:
                reply = await self._registry.poll("/services", index, EVERY, {"limit": 1})
                instances = await registered(self._registry)
                self._listed = {str(each["id"]) for each in instances}
                self._wanted = told(instances, self._is_meant)
                index, trouble = reply.index or 0, ""
            except RegistryError as error:
                index, trouble = 0, str(error)
                await asyncio.sleep(1.0)
            try:
                with understood(self._target.name):
                    await self.round()
            except SourceAway as error:
                trouble = str(error)
                await asyncio.sleep(1.0)
            if trouble and trouble != self._trouble:
                self._tell(f"{trouble}; it is tried again")
            self._trouble = trouble

    async def round(self) -> None:
        """Everything there is as it is here, and beats when that is due. SourceAway."""
        there = await self._target.known()
        if self._listed is None:  # started again while this registry is away
            for id, name in there.items():
                await self._target.beat({"id": id, "name": name})
            return
        missing = there.keys() - self._listed
        kept = missing if is_doubtful(len(missing), len(there)) else set[str]()
        if kept and len(kept) != self._doubted:
            self._tell(
                f"{len(kept)} of {len(there)} told before are gone here all at once: they are not removed there, but beat no longer"
            )
        self._doubted = len(kept)
        for id, name in there.items():
            if id not in self._wanted and id not in kept and await self._target.remove(id, name):
                self._tell(f"{name} {id} is gone here, and there")
        is_due = time.monotonic() >= self._beats_at
        room = asyncio.Semaphore(_AT_ONCE)

        async def one(id: str, instance: Mapping[str, Any]) -> None:
            async with room:
                await self._tell_of(id, instance, id in there, is_due)

        try:
            async with asyncio.TaskGroup() as tasks:
                for id, instance in self._wanted.items():
                    tasks.create_task(one(id, instance))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        self._done = {id: contents for id, contents in self._done.items() if id in self._wanted}
        if is_due:
            self._beats_at = time.monotonic() + EVERY

    async def _tell_of(self, id: str, instance: Mapping[str, Any], is_there: bool, is_due: bool) -> None:
        contents = _contents(instance)
        # Not by `is_there`: an Eureka lists an instance up to 30 s after it has it.
        if self._done.get(id) == contents and (not is_due or await self._target.beat(instance)):
            return
        try:
            await self._target.put(instance)
        except SourceError as error:  # it takes no such name, or tag
            if self._done.get(id) != contents:
                self._tell(f"{instance['name']} {id}: {error}")
        else:
            if not is_there:
                self._tell(f"{instance['name']} {id} is told to {self._target.name}")
        self._done[id] = contents
