"""Who left the answers lately, by silence or failed checks or because somebody asked for it: what the warnings about services say, and what
has gone within the last hour and not come back. It follows the commits. And from which other registries imports have brought copies of
which nothing is heard any more. Pure; epoch seconds.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from shlex import quote

from discovery.core.check_states import failing_since
from discovery.core.event import RESTORE, Commit, InstanceEvent, Kind, instant_of
from discovery.core.instance import Instance, Key
from discovery.core.moment import to_the_second
from discovery.core.status import DOWN, SILENT, Status
from discovery.core.warning import Concern, critical, warning

# Half of a service's instances within so many seconds are no coincidence.
WINDOW = 300.0
# Seconds for which who has gone is remembered, and 300 octets for each. Beyond so many, those that went longest ago are forgotten.
KEPT = 3600.0
MAX_GONE = 10_000

_NONE_YET: dict[Status | None, int] = dict.fromkeys((None, *Status), 0)  # None: less, for each that is registered
_SERVED = (Status.HEALTHY, Status.SUSPECT, Status.FLAPPING)
_SERVED_OR_DOWN = (*_SERVED, *DOWN)


class _Service:
    """`counts`: instances by their status. `missing`: lost, and neither back nor deregistered. `window`: when some were lost, how many were
    served before, and how many were lost then. `loss`: of half of it or more: since when, and how many there were before.
    """

    __slots__ = ("counts", "last", "loss", "missing", "window")

    def __init__(self) -> None:
        self.counts = _NONE_YET.copy()
        self.missing = 0
        self.window: deque[list[float]] = deque()
        self.loss: tuple[float, int] | None = None
        self.last = 0.0

    @property
    def is_well(self) -> bool:
        return self.loss is None and not self.suspects and not self.flapping

    @property
    def listed(self) -> int:
        return -self.counts[None]

    @property
    def served(self) -> int:
        return sum(self.counts[status] for status in _SERVED)

    @property
    def suspects(self) -> int:
        return self.counts[Status.SUSPECT]

    @property
    def flapping(self) -> int:
        return self.counts[Status.FLAPPING]

    def lose(self, at: float) -> None:
        """One; it is not counted among those served any more."""
        self.missing += 1
        self.last = at
        window = self.window
        while window and window[0][0] <= at - WINDOW:
            window.popleft()
        if window and at - window[-1][0] < 1:
            window[-1][2] += 1
        else:
            window.append([at, self.served + 1, 1])
        since, before, _ = window[0]
        if self.loss is None and 2 * self.served <= before and 2 * sum(lost for _, _, lost in window) >= before:
            self.loss = since, int(before)

    def still_lost(self, wall: float) -> tuple[float, int] | None:
        if self.loss is not None and (2 * self.served > self.loss[1] or not self.missing or wall - self.last > KEPT):
            self.loss = None
            self.window.clear()
        return self.loss


class Losses:
    def __init__(self) -> None:
        self._services: dict[str, _Service] = {}  # by folded name
        self._troubled: dict[str, None] = {}
        # When they left the answers, by themselves or because somebody asked for it; those that went longest ago first.
        self._lost: OrderedDict[Key, float] = OrderedDict()
        self._ended: OrderedDict[Key, float] = OrderedDict()

    def follow_commit(self, commit: Commit) -> None:
        for event in commit.events:
            if isinstance(event, InstanceEvent):
                before, after = _statuses(event)
                if before is not after:
                    self._note(event, before, after, commit.wall)
        if commit.action == RESTORE:
            self._restored(commit)

    def _restored(self, commit: Commit) -> None:
        """A service of which none was left in the answers when the process ended before this one is as it was."""
        down: dict[str, list[float]] = {}
        for event in commit.events:
            if isinstance(event, InstanceEvent) and (instance := event.after) is not None and instance.status in DOWN:
                since = failing_since(instance.own, instance.spec.checks, instance.checks)
                down.setdefault(event.service, []).append(instance.lapsed_at or since or commit.wall)
        for name, times in down.items():
            service, count = self._services[name], len(times)
            if not service.served:
                service.loss, service.missing, service.last = (min(times), count), count, max(times)
                self._troubled[name] = None

    def recall(self, events: Iterable[tuple[InstanceEvent, float]], is_here: Callable[[Key], bool]) -> None:
        """What happened before this process began, in order, each with its time; who is here now has not gone."""
        earlier = Losses()
        for event, at in events:
            earlier._note_gone(_key(event), event.kind, *_statuses(event), at)
        self._lost = self._with(earlier._lost, self._lost, is_here)
        self._ended = self._with(earlier._ended, self._ended, is_here)

    def _with(
        self, earlier: Mapping[Key, float], later: Mapping[Key, float], is_here: Callable[[Key], bool]
    ) -> OrderedDict[Key, float]:
        gone = [(key, at) for key, at in earlier.items() if not self._has_gone(key) and not is_here(key)]
        return OrderedDict([*gone, *later.items()][-MAX_GONE:])

    def _has_gone(self, key: Key) -> bool:
        return key in self._lost or key in self._ended

    def _note(self, event: InstanceEvent, before: Status | None, after: Status | None, wall: float) -> None:
        name = event.service
        service = self._services.get(name)
        if service is None:
            service = self._services[name] = _Service()
        service.counts[before] -= 1
        service.counts[after] += 1
        if before is None and after is Status.HEALTHY and not self._lost and not self._ended and not service.missing:
            return
        at = instant_of(event, wall)
        key = _key(event)
        if before in _SERVED and (after in DOWN or event.kind is Kind.EXPIRED):
            service.lose(at)
        elif service.missing and _ends_silence(event, before, after, key in self._lost):
            service.missing -= 1
        self._note_gone(key, event.kind, before, after, at)
        if not service.is_well:
            self._troubled[name] = None
        elif after is None and not service.listed and name not in self._troubled:
            del self._services[name]

    def _note_gone(self, key: Key, kind: Kind, before: Status | None, after: Status | None, at: float) -> None:
        if after is not None and after not in DOWN:
            self._lost.pop(key, None)
            self._ended.pop(key, None)
        elif before in _SERVED or (after is None and not self._has_gone(key)):
            self._lost.pop(key, None)
            self._ended.pop(key, None)
            into = self._ended if kind is Kind.DEREGISTERED or before not in _SERVED_OR_DOWN else self._lost
            into[key] = at
            if len(into) > MAX_GONE:
                into.popitem(last=False)

    def gone(self, wall: float) -> Mapping[str, Mapping[Key, float]]:
        """Within the last hour, and not back: `lost`, who fell silent or failed the checks, and `ended`, who was to go; each since when."""
        for gone in (self._lost, self._ended):
            while gone and next(iter(gone.values())) <= wall - KEPT:
                gone.popitem(last=False)
        return {"lost": self._lost, "ended": self._ended}

    # -- warnings

    def concerns(self, wall: Callable[[], float]) -> list[Concern]:
        return [
            critical("service_emptied", lambda: self._each(partial(_lost, wall(), True))),
            warning("service_halved", lambda: self._each(partial(_lost, wall(), False))),
            warning("service_flapping", lambda: self._each(_flapping)),
            critical("brake_holds", lambda: self._each(_held)),
        ]

    def _each(self, tell: Callable[[str, _Service], str | None]) -> Mapping[str, str]:
        """By the names of the services in trouble, what there is to tell of them."""
        return {name: text for name, service in self._in_trouble() if (text := tell(name, service)) is not None}

    def _in_trouble(self) -> Iterator[tuple[str, _Service]]:
        for name in list(self._troubled):
            service = self._services[name]
            if service.is_well:
                del self._troubled[name]
                if not service.listed:
                    del self._services[name]
            else:
                yield name, service


def _lost(wall: float, emptied: bool, name: str, service: _Service) -> str | None:
    loss = service.still_lost(wall)
    if loss is None or (service.served == 0) is not emptied:
        return None
    since, before = to_the_second(loss[0]), loss[1]
    left = f"{name} has {service.served or 'none'} of {before} instances left since {since}"
    return (
        f"{left}: {service.missing} fell silent or failed their checks; "
        f"`discovery explain {quote(name)}` and `discovery history {quote(name)} --since {since}` say of each why"
    )


def _flapping(name: str, service: _Service) -> str | None:
    if not service.flapping:
        return None
    return (
        f"{service.flapping} of {service.listed} instances of {name} came and went too often: served only where nothing better is left; "
        f"`discovery history {quote(name)}` says why"
    )


def _held(name: str, service: _Service) -> str | None:
    if not service.suspects:
        return None
    return (
        f"{service.suspects} of {service.listed} instances of {name} fell silent together; the brake holds them: served behind the healthy "
        f"ones; can their hosts reach this server? `discovery explain {quote(name)}` says until when"
    )


def _ends_silence(event: InstanceEvent, before: Status | None, after: Status | None, is_lost: bool) -> bool:
    """Whether one that was lost is back, or somebody said what is to become of it."""
    if before is None:
        return is_lost
    return before in DOWN and after not in DOWN and event.kind is not Kind.EXPIRED


def _key(event: InstanceEvent) -> Key:
    instance = event.before if event.after is None else event.after
    assert instance is not None
    return Key(event.service, *instance.spec.place)


def _statuses(event: InstanceEvent) -> tuple[Status | None, Status | None]:
    return _status(event.before), _status(event.after)


def _status(instance: Instance | None) -> Status | None:
    """Who is held because its registration asks for it is no loss: see `silent_imports`."""
    if instance is None:
        return None
    is_held = instance.status is Status.SUSPECT and instance.spec.hold
    return Status.HEALTHY if is_held else instance.status


# -- what imports have brought from other registries


def silent_imports(copies: Mapping[tuple[str, Status], int]) -> Mapping[str, str]:
    """`copies`: how many instances there are, by where they are from and their status. By the former, how many are renewed no longer."""
    silent, all_ = Counter[str](), Counter[str]()
    for (origin, status), count in copies.items():
        all_[origin] += count
        silent[origin] += count * (status in SILENT)
    return {origin: _told(origin, count, all_[origin]) for origin, count in silent.items() if count}


def _told(origin: str, silent: int, count: int) -> str:
    return (
        f"{silent} of {count} copies from {origin} are renewed no longer: they are suspects for the --hold of their import, and then go; "
        f"does {origin} answer, and does `discovery import {quote(origin)} --follow` run, and say why?"
    )
