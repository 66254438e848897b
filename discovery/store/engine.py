"""The Engine seam: where a write becomes the truth, and who has a say in it. One engine is chosen at start (`discovery/engines/`)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from discovery.core.caller import NOBODY, Caller
from discovery.core.errors import DiscoveryError
from discovery.core.health import Finding
from discovery.core.instance import Key
from discovery.core.metric import Metric
from discovery.core.warning import Concern
from discovery.store.registration import ReportCheck
from discovery.store.registry import Registry
from discovery.store.service import Entry
from discovery.store.transaction import Authorize
from discovery.store.values import Snapshot
from discovery.store.write import Write

T = TypeVar("T")


class Engine(Protocol):
    """`has_other_nodes`: others may have given an index that this one has yet to reach. `leads`: what time brings about is this node's to
    decide. `safe`: commits up to this index are as safe as `submit` makes them.
    """

    @property
    def has_other_nodes(self) -> bool: ...

    @property
    def leads(self) -> bool: ...

    @property
    def safe(self) -> float: ...

    async def open(self) -> None:
        """Fills the registry; returns when it may be served. Called before any socket opens."""

    async def submit(self, write: Write[T], by: Caller = NOBODY) -> T:
        """Carries the write out; returns once it is as safe as this engine makes it. Raises what the write raises, and NotDurable.

        What the server does of itself is SERVER's.
        """

    async def submit_all(self, writes: Iterable[Write[T]], by: Caller = NOBODY) -> list[T | DiscoveryError]:
        """Each as `submit` does, in order, and all made safe together. One that is refused keeps no other from being carried out."""

    def renew(self, which: Key | str, by: Caller = NOBODY, check: str | None = None) -> Entry:
        """A heartbeat by key or id, at once: it is no change, so there is nothing to make safe. `check`: it reports on that `ttl` check,
        too, what this said before (`Entry.says`); else that is a `ReportCheck`. UnknownInstance, Forbidden.

        EngineAway, Moved: it is noted, but others have to be told of it.
        """

    def not_ready(self) -> str | None:
        """Why this node must not be asked to change something now; None when it may."""

    def concerns(self) -> Sequence[Concern]:
        """What it warns of. Asked for once, before `open`."""

    def stats(self) -> Mapping[str, Any]:
        """What it adds to GET /stats, each under a name of its own, as plain JSON."""

    def metrics(self) -> Sequence[Metric]:
        """Its numbers for whoever shows them. Asked for once, before `open`."""

    async def close(self) -> None:
        """Flushes; no submit follows."""


def report_check(
    engine: Engine, registry: Registry, which: Key | str, check: str, found: Finding, by: Caller, now: float
) -> Entry | Awaitable[Entry]:
    """What an instance reports on a `ttl` check of its own: the entry. What the check said before is a heartbeat with it, and done at once;
    else it is a write. UnknownInstance, UnknownCheck, CheckIsMade; as `submit` and `renew`.
    """
    entry = registry.find(which)
    if entry is None or not entry.says(check, found.health, now):
        return engine.submit(ReportCheck(which, check, found), by)
    entry = engine.renew(which, by, check)
    entry.note_output(check, found.output)
    return entry


class Keeper(Protocol):
    """Who makes commits safe. It hears of them as a follower."""

    async def restore(self) -> Snapshot | None:
        """The state that it kept, at the start; None when it keeps something else."""

    def check(self) -> None:
        """NotDurable when nothing could be kept now. Asked before a commit is applied."""

    async def settled(self) -> None:
        """Returns when all commits so far are kept. NotDurable when they cannot be; they are tried again all the same."""

    @property
    def safe(self) -> float:
        """Commits up to this index are kept."""


Refused = Callable[[Write[Any], Caller, DiscoveryError], None]


@dataclass(frozen=True)
class WriteSeams:
    """Who has a say in writes: lists to append to before the engine opens. `refused`: is told of each write that was refused. `fails`: told
    why this process has to end. `folders`: of what survives a restart; this process's alone from the moment on at which the state is
    restored. Empty: memory only.
    """

    authorize: list[Authorize] = field(default_factory=list)
    keepers: list[Keeper] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    fails: list[Callable[[DiscoveryError], None]] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)


# Of ENGINE_URL, the registry, its clock (monotonic seconds) and the wall's (epoch seconds). SettingsError.
MakeEngine = Callable[[str, Registry, Callable[[], float], Callable[[], float], WriteSeams], Engine]
