"""What is kept besides the instances, by its kind: a holder of each (`State.values`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from discovery.core.event import ValueEvent
from discovery.core.instance import Instance, Key
from discovery.core.kinds import Document, DocumentKey, WindowEvent
from discovery.core.maintenance import Scope, Window
from discovery.store.chunked_dict import ChunkedDict

K = TypeVar("K")
V = TypeVar("V")


class Holder(Protocol):
    """Of the values of one kind."""

    @property
    def all(self) -> Mapping[Any, Any]: ...

    def set(self, key: Any, value: Any, offset: float) -> None:
        """`value` None: it is no longer. `offset`: what makes monotonic seconds of epoch seconds."""


class Values(dict[K, V]):
    """In the order in which they were put; beyond `most` the oldest are given up."""

    def __init__(self, most: int | None = None) -> None:
        super().__init__()
        self._most = most

    @property
    def all(self) -> Mapping[K, V]:
        return self

    def set(self, key: K, value: V | None, offset: float) -> None:
        self.pop(key, None)
        if value is not None:
            self[key] = value
            if self._most is not None and len(self) > self._most:
                del self[next(iter(self))]


class Setting(Generic[V]):
    """Of a kind of which there is one, that others keep: `get` and `put`."""

    def __init__(self, get: Callable[[], V], put: Callable[[V], None]) -> None:
        self._get = get
        self._put = put

    @property
    def all(self) -> Mapping[None, V]:
        return {None: self._get()}

    def set(self, key: None, value: V | None, offset: float) -> None:
        if value is not None:
            self._put(value)


class Documents(Values[DocumentKey, Document]):
    """With those of each plugin by key."""

    def __init__(self) -> None:
        super().__init__()
        self.of: dict[str, dict[str, Document]] = {}

    def set(self, key: DocumentKey, value: Document | None, offset: float) -> None:
        super().set(key, value, offset)
        if value is not None:
            self.of.setdefault(key.plugin, {})[key.key] = value
        elif (those := self.of.get(key.plugin)) is not None:
            those.pop(key.key, None)


# -- maintenance windows

# Each change copies them all, 10 µs a thousand; more than that are no maintenance.
MAX_WINDOWS = 1000
# Of one token that is no admin's, and of all such tokens: so that no holder of one keeps others from taking a service out.
MAX_WINDOWS_PER_TOKEN = 100
MAX_WINDOWS_OF_TOKENS = 500

WindowMap = Mapping[Scope, Window]


def window_of(windows: WindowMap, instance: Instance) -> Window | None:
    """The instance's own, else its service's."""
    if not windows:
        return None
    key = instance.spec.key
    return windows.get(Scope.of(key)) or windows.get(Scope(key.service))


def with_window(windows: WindowMap, scope: Scope, window: Window | None) -> WindowMap:
    """As `windows`, but for this scope; None: there is none."""
    changed = {**windows, scope: window} if window else {each: windows[each] for each in windows if each != scope}
    return MappingProxyType(changed)


class Windows:
    """`all` that are in force: replaced whole at each change, so a reader may keep it. Their ends are monotonic seconds here."""

    def __init__(self) -> None:
        self.all: WindowMap = MappingProxyType({})
        self._ends: dict[Scope, float] = {}
        self.next: float | None = None  # when the first ends

    def set(self, scope: Scope, window: Window | None, offset: float) -> None:
        """`window` None: it has ended. `offset`: what makes monotonic seconds of epoch seconds."""
        self._ends.pop(scope, None)
        if window is not None:
            self._ends[scope] = window.until + offset
        self.all = with_window(self.all, scope, window)
        self._find_next()

    def shift(self, seconds: float) -> None:
        """The clock has fallen behind by so much: they end as much earlier by it, and when they should by the wall's."""
        self._ends = {scope: ends - seconds for scope, ends in self._ends.items()}
        self._find_next()

    def over(self, now: float) -> Scope | None:
        """One that has ended by itself."""
        if self.next is None or now < self.next:
            return None
        return next((scope for scope, ends in self._ends.items() if ends <= now), None)

    def _find_next(self) -> None:
        self.next = min(self._ends.values(), default=None)


# -- who was deregistered a short while ago, so that a heartbeat that was under way does not bring it back

# A tombstone lasts as long as the lease: by then a client that was told has stopped, or has been told again. At most a minute.
MAX_BURIED = 60.0
# 300 octets each: a table of 100,000 is cleared; of a larger one the oldest are given up.
MAX_TOMBSTONES = 131_072


class Tombstones(ChunkedDict[Key, float]):
    """Until when, in the order of burial. `now` and `until` are seconds of one clock."""

    def bury(self, key: Key, until: float, now: float) -> None:
        self.put(key, until)
        for _ in range(2):  # at a time, so that their number follows the burials down again
            first = self.first()
            if first is None or (first[1] > now and len(self) <= MAX_TOMBSTONES):
                break
            self.pop(first[0])

    def left(self, key: Key, now: float) -> float:
        """Seconds for which it stays buried; 0 when it is not."""
        until = self.get(key)
        return 0.0 if until is None else max(0.0, until - now)


# -- the whole state at one index, as values: what a start loads, and what a follower that has missed too much begins from again


class Snapshot(NamedTuple):
    """Instances in the order of registration. Their `status`, `ttl` and `failing` are decided when it is loaded.

    `values`: what is kept besides (`core.kinds`), as the events that led to it, each kind in order. `tombstones`: until when (epoch
    seconds) no heartbeat brings the key back.
    """

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody asks
    instances: tuple[Instance, ...] = ()
    values: tuple[ValueEvent[Any, Any], ...] = ()
    tombstones: tuple[tuple[Key, float], ...] = ()

    @property
    def counted(self) -> str:
        return f"{len(self.instances):,} instances, {self.number(WindowEvent):,} maintenance windows"

    def number(self, of: type[ValueEvent[Any, Any]]) -> int:
        """How many there are of that kind."""
        return sum(isinstance(event, of) for event in self.values)
