"""The routes of a subject with their handlers, and what the handlers of all subjects work with. `web` has the list of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from discovery.core.caller import Caller
from discovery.core.errors import DiscoveryError
from discovery.core.instance import Registration
from discovery.core.metric import Metric
from discovery.core.remembered import Change
from discovery.rest.api.following.waiting import LongPolls
from discovery.rest.api.requests import Request
from discovery.rest.api.route import Route
from discovery.rest.api.times import Times
from discovery.store.engine import Engine
from discovery.store.nearness import Preference
from discovery.store.registry import Registry

# What a plugin remembers of an instance that its registry's own words are these of. InvalidField, HttpError.
ImportedAs = Callable[[Any, Registration], Change]


@dataclass(eq=False)
class Handlers:
    """`clock`: monotonic seconds, the registry's. `random` spreads the heartbeats, and draws. `polls`: lets requests wait. `sees_names`:
    who may know the names in the accounts of a service's instances. `preference`: of callers for instances of their zone; None without
    CLIENT_ZONES. `longest_ttl`: the upper bound of TTLs in DNS answers, seconds.

    `count_registration`: is told of each by address and time, and refuses one too many. `note_refused`: is told by request how many items
    of a batch were refused, and why the first. `imported_as`: as of `Seams`.
    """

    registry: Registry
    engine: Engine
    clock: Callable[[], float]
    times: Times
    random: Random
    polls: LongPolls
    sees_names: Callable[[Caller, str], bool] = lambda caller, name: False
    preference: Preference | None = None
    longest_ttl: int = 0
    count_registration: Callable[[str, float], None] = lambda address, now: None
    note_refused: Callable[[Request, int, Sequence[tuple[Any, DiscoveryError]]], None] = lambda request, count, items: (
        None
    )
    imported_as: Mapping[str, ImportedAs] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """What a subject has of its own."""

    def routes(self) -> list[Route]:
        """None: it is what all have in common."""
        return []

    def metrics(self) -> list[Metric]:
        return []
