"""The engine of a single process: a write is the truth as soon as the registry has it, and safe when the keepers have. README.md
beside this file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from discovery.core.caller import NOBODY, SERVER, Caller
from discovery.core.errors import DiscoveryError
from discovery.core.instance import Key
from discovery.core.metric import Metric
from discovery.core.warning import Concern, one, warning
from discovery.store.engine import WriteSeams
from discovery.store.fits import DoesNotFit
from discovery.store.operations import ChangeSettings
from discovery.store.registration import Revive
from discovery.store.registry import Registry
from discovery.store.service import Entry
from discovery.store.write import Write
from discovery.system.turns import turns

T = TypeVar("T")


class LocalEngine:
    """`clock`: monotonic seconds, the registry's; `wall`: epoch seconds."""

    has_other_nodes = False
    leads = True

    def __init__(
        self, registry: Registry, clock: Callable[[], float], wall: Callable[[], float], seams: WriteSeams | None = None
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._wall = wall
        self._seams = seams or WriteSeams()
        self._misfit: str | None = None
        self._checks = [keeper.check for keeper in self._seams.keepers]

    @property
    def safe(self) -> float:
        return min((keeper.safe for keeper in self._seams.keepers), default=float("inf"))

    async def open(self) -> None:
        settings = self._registry.settings
        for keeper in self._seams.keepers:
            snapshot = await keeper.restore()
            if snapshot is not None:
                self._registry.load(snapshot, self._clock(), self._wall())
        self._carry_out(ChangeSettings(settings), SERVER)  # what was restored may have been under others
        self._registry.loaded = True

    async def submit(self, write: Write[T], by: Caller = NOBODY) -> T:
        result = self._carry_out(write, by)
        if write.lasts:
            await self._settle(write, by)
        return result

    async def submit_all(self, writes: Iterable[Write[T]], by: Caller = NOBODY) -> list[T | DiscoveryError]:
        results: list[T | DiscoveryError] = []
        last = None
        for write in writes:
            await turns().over()
            try:
                results.append(self._carry_out(write, by))
                last = write if write.lasts else last
            except DiscoveryError as error:
                results.append(error)
        if last is not None:
            await self._settle(last, by)
        return results

    def renew(self, which: Key | str, by: Caller = NOBODY, check: str | None = None) -> Entry:
        if self._seams.authorize:
            owner = which.service if isinstance(which, Key) else self._registry.at(which).instance.spec.key.service
            for authorize in self._seams.authorize:
                authorize(owner, by)
        entry = self._registry.at(which)
        if by.address != entry.instance.registrant.address:
            entry.beaten_from = by.address
        if not self._registry.beat(entry, self._clock(), check):
            self._carry_out(Revive(which), by)
            self._registry.renewals += 1
        return entry

    def not_ready(self) -> str | None:
        return None

    def concerns(self) -> Sequence[Concern]:
        return [warning("commit_misfit", one(lambda: self._misfit))]

    def stats(self) -> Mapping[str, Any]:
        return {}

    def metrics(self) -> Sequence[Metric]:
        return ()

    async def close(self) -> None:
        """The keepers are closed by their plugins."""

    def _carry_out(self, write: Write[T], by: Caller) -> T:
        checks = self._checks if write.lasts else ()  # heartbeats and what time brings go on without a disk
        try:
            return self._registry.carry_out(write, self._clock(), self._wall(), by, self._seams.authorize, checks)
        except DiscoveryError as error:
            self._refuse(write, by, error)
            raise
        except DoesNotFit as error:
            self._misfit = f"a write was not carried out, for it does not fit what is registered, a defect: {error}"
            raise

    async def _settle(self, write: Write[T], by: Caller) -> None:
        # Also of a write that changed nothing: it may repeat one that is under way.
        try:
            for keeper in self._seams.keepers:
                await keeper.settled()
        except DiscoveryError as error:
            self._refuse(write, by, error)
            raise

    def _refuse(self, write: Write[T], by: Caller, error: DiscoveryError) -> None:
        for refused in self._seams.refused:
            refused(write, by, error)


def make(
    url: str, registry: Registry, clock: Callable[[], float], wall: Callable[[], float], seams: WriteSeams
) -> LocalEngine:
    return LocalEngine(registry, clock, wall, seams)
