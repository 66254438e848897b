"""Who left the answers lately, by silence or failed checks or because somebody asked for it: what the warnings about services say, and what
has gone within the last hour and not come back. It follows the commits. Pure; epoch seconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from discovery.core.event import Commit, InstanceEvent, Kind, instant_of
from discovery.core.instance import Key
from discovery.core.moment import to_the_second
from discovery.core.status import DOWN, Status
from discovery.core.warning import Concern, critical, warning

# Half of a service's instances within so many seconds are no coincidence.
WINDOW = 300.0
# Seconds for which who has gone is remembered, and 300 octets for each. Beyond so many, those that went longest ago are forgotten.
KEPT = 3600.0
MAX_GONE = 10_000
# Services that are named of those whose instances have gone.
_MOST_NAMED = 8

_SERVED = (Status.HEALTHY, Status.SUSPECT, Status.FLAPPING)


class Gone(NamedTuple):
    """`at`: when it left the answers. `ended`: somebody asked for it."""

    at: float
    ended: bool


class GoneTogether(NamedTuple):
    """`services`: the folded names of the first of them."""

    instances: int = 0
    service_count: int = 0
    services: tuple[str, ...] = ()
    since: float | None = None
    until: float | None = None


class _Loss(NamedTuple):
    """Of half of a service or more: since when, and how many there were before."""

    since: float
    before: int


class _Service:
    """`served`: instances in the answers; `suspects` and `flapping` of them. `missing`: lost, and neither back nor deregistered. `window`:
    when some were lost, how many were served before, and how many were lost then.
    """

    __slots__ = ("flapping", "last", "listed", "loss", "missing", "served", "suspects", "window")

    def __init__(self) -> None:
        self.listed = self.served = self.suspects = self.flapping = self.missing = 0
        self.window: deque[list[float]] = deque()
        self.loss: _Loss | None = None
        self.last = 0.0

    @property
    def is_well(self) -> bool:
        return self.loss is None and not self.suspects and not self.flapping

    def count(self, status: Status | None, by: int) -> None:
        self.listed += by * (status is not None)
        self.served += by * (status in _SERVED)
        self.suspects += by * (status is Status.SUSPECT)
        self.flapping += by * (status is Status.FLAPPING)

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
            self.loss = _Loss(since, int(before))

    def still_lost(self, wall: float) -> _Loss | None:
        if self.loss is not None and (
            2 * self.served > self.loss.before or not self.missing or wall - self.last > KEPT
        ):
            self.loss = None
            self.window.clear()
        return self.loss


class Losses:
    def __init__(self) -> None:
        self._services: dict[str, _Service] = {}  # by folded name
        self._troubled: dict[str, None] = {}
        self._gone: dict[Key, Gone] = {}  # that went longest ago first

    def follow_commit(self, commit: Commit) -> None:
        for event in commit.events:
            if isinstance(event, InstanceEvent):
                self._note(event, instant_of(event, commit.wall))

    def recall(self, events: Iterable[tuple[InstanceEvent, float]], is_here: Callable[[Key], bool]) -> None:
        """What happened before this process began, in order, each with its time; who is here now has not gone."""
        earlier = Losses()
        for event, at in events:
            earlier._note_gone(event, *_statuses(event), at)
        gone = [(key, each) for key, each in earlier._gone.items() if key not in self._gone and not is_here(key)]
        self._gone = dict([*gone, *self._gone.items()][-MAX_GONE:])

    def _note(self, event: InstanceEvent, at: float) -> None:
        before, after = _statuses(event)
        if before is after:
            return
        name = event.service
        service = self._services.get(name)
        if service is None:
            service = self._services[name] = _Service()
        service.count(before, -1)
        service.count(after, 1)
        gone = self._gone.get(event.instance.spec.key)
        if before in _SERVED and (after in DOWN or event.kind is Kind.EXPIRED):
            service.lose(at)
        elif service.missing and _ends_silence(event, before, after, gone):
            service.missing -= 1
        self._note_gone(event, before, after, at)
        if not service.is_well:
            self._troubled[name] = None
        elif not service.listed and name not in self._troubled:
            del self._services[name]

    def _note_gone(self, event: InstanceEvent, before: Status | None, after: Status | None, at: float) -> None:
        key = event.instance.spec.key
        if after is not None and after not in DOWN:
            self._gone.pop(key, None)
        elif before in _SERVED or (after is None and key not in self._gone):
            self._gone.pop(key, None)
            self._gone[key] = Gone(at, event.kind is Kind.DEREGISTERED or before not in (*_SERVED, *DOWN))
            if len(self._gone) > MAX_GONE:
                del self._gone[next(iter(self._gone))]

    def gone(self, wall: float) -> Mapping[str, GoneTogether]:
        """Within the last hour, and not back: `lost`, who fell silent or failed the checks, and `ended`, who was to go."""
        while self._gone and self._gone[first := next(iter(self._gone))].at <= wall - KEPT:
            del self._gone[first]
        return {"lost": self._together(False), "ended": self._together(True)}

    def _together(self, ended: bool) -> GoneTogether:
        found = [(key, gone.at) for key, gone in self._gone.items() if gone.ended is ended]
        if not found:
            return GoneTogether()
        services = dict.fromkeys(key.service for key, _ in found)
        times = [at for _, at in found]
        return GoneTogether(len(found), len(services), tuple(services)[:_MOST_NAMED], min(times), max(times))

    # -- warnings

    def concerns(self, wall: Callable[[], float]) -> list[Concern]:
        return [
            critical("service_emptied", lambda: dict(self._lost(wall(), emptied=True))),
            warning("service_halved", lambda: dict(self._lost(wall(), emptied=False))),
            warning("service_flapping", lambda: dict(self._flapping())),
            critical("brake_holds", lambda: dict(self._held())),
        ]

    def _in_trouble(self) -> Iterator[tuple[str, _Service]]:
        for name in list(self._troubled):
            service = self._services[name]
            if service.is_well:
                del self._troubled[name]
                if not service.listed:
                    del self._services[name]
            else:
                yield name, service

    def _lost(self, wall: float, emptied: bool) -> Iterator[tuple[str, str]]:
        for name, service in self._in_trouble():
            if (loss := service.still_lost(wall)) is not None and (service.served == 0) is emptied:
                left = (
                    f"{service.served} of {loss.before} instances"
                    if service.served
                    else f"none of {loss.before} instances"
                )
                since = to_the_second(loss.since)
                yield (
                    name,
                    (
                        f"{name} has {left} left since {since}: they fell silent or failed their checks; `discovery explain {name}` and "
                        f"`discovery history {name} --since {since}` say of each why"
                    ),
                )

    def _flapping(self) -> Iterator[tuple[str, str]]:
        for name, service in self._in_trouble():
            if service.flapping:
                yield (
                    name,
                    (
                        f"{service.flapping} of {service.listed} instances of {name} came and went too often: served only where nothing "
                        f"better is left; `discovery history {name}` says why"
                    ),
                )

    def _held(self) -> Iterator[tuple[str, str]]:
        for name, service in self._in_trouble():
            if service.suspects:
                yield (
                    name,
                    (
                        f"{service.suspects} of {service.listed} instances of {name} fell silent together; the brake holds them: served "
                        f"behind the healthy ones; can their hosts reach this server? `discovery explain {name}` says until when"
                    ),
                )


def _ends_silence(event: InstanceEvent, before: Status | None, after: Status | None, gone: Gone | None) -> bool:
    """Whether one that was lost is back, or somebody said what is to become of it."""
    if before is None:
        return gone is not None and not gone.ended
    return before in DOWN and after not in DOWN and event.kind is not Kind.EXPIRED


def _statuses(event: InstanceEvent) -> tuple[Status | None, Status | None]:
    return event.before and event.before.status, event.after and event.after.status
