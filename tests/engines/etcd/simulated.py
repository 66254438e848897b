"""An etcd in memory that does what decisions ask of it, and nodes that decide and follow by hand: each step is one call, in any order."""

from __future__ import annotations

import contextlib
from base64 import b64decode
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from itertools import count
from random import Random
from typing import Any, NamedTuple

from discovery.core import exact_json
from discovery.core.caller import Caller
from discovery.core.errors import DiscoveryError, Forbidden
from discovery.core.instance import Key
from discovery.core.kinds import RegistrySettings
from discovery.engines.etcd import layout as keys
from discovery.engines.etcd.gateway import Etcd
from discovery.engines.etcd.layout import Layout
from discovery.engines.etcd.messages import Change, Changes, Json, put
from discovery.engines.etcd.mirror import Mirror
from discovery.engines.etcd.waiting import Prepared, Waiting
from discovery.engines.etcd.writes import Writes
from discovery.store.brake import Brake
from discovery.store.damping import Damping
from discovery.store.engine import WriteSeams
from discovery.store.registry import Registry
from discovery.store.service import Entry
from discovery.store.transaction import Transaction
from discovery.store.write import Write
from tests.store.state_of import state_of

PREFIX = "reg/"
# Of etcd: operations, and compares, of a transaction; less those of the outer one for a nested one.
MOST = 128


class Held(NamedTuple):
    value: bytes
    created: int
    changed: int


class Store:
    """`changes`: by revision, the first is 1. Leases do not end."""

    def __init__(self) -> None:
        self.held: dict[bytes, Held] = {}
        self.changes: list[list[Change]] = []

    @property
    def revision(self) -> int:
        return len(self.changes)

    def txn(self, success: list[Json]) -> list[bool]:
        """Which of the nested ones succeeded. All are compared before anything changes, and no key is put twice, as in etcd."""
        nested = [each["requestTxn"] for each in success if "requestTxn" in each]
        taken = [all(map(self._holds, each["compare"])) for each in nested]
        operations = [each for each in success if "requestTxn" not in each]
        for each, holds in zip(nested, taken, strict=True):
            assert max(len(each["compare"]), len(each["success"])) <= MOST - len(success), "etcd refuses it"
            operations += each["success"] if holds else []
        named = [key for key, _ in map(_named, operations)]
        assert len(named) == len(set(named)), "etcd refuses a key that is put twice"
        self.put_all([_named(each) for each in operations])
        return taken

    def put_all(self, values: list[tuple[bytes, bytes | None]]) -> None:
        """As one revision. None: it is deleted."""
        revision, changes = self.revision + 1, []
        for key, value in values:
            known = self.held.pop(key, None)
            if value is not None:
                self.held[key] = Held(value, known.created if known else revision, revision)
                changes.append(Change(key, value, self.held[key].created, revision))
            elif known is not None:
                changes.append(Change(key, None, 0, revision))
        if changes:
            self.changes.append(changes)

    def _holds(self, compare: Json) -> bool:
        key = b64decode(compare["key"])
        if "rangeEnd" in compare:
            end = b64decode(compare["rangeEnd"])
            return all(held.changed < compare["modRevision"] for each, held in self.held.items() if key <= each < end)
        held = self.held.get(key, Held(b"", 0, 0))
        return bool(
            held.changed == compare["modRevision"]
            if compare["target"] == "MOD"
            else held.created == compare["createRevision"]
        )


def _named(operation: Json) -> tuple[bytes, bytes | None]:
    if "requestPut" in operation:
        return b64decode(operation["requestPut"]["key"]), b64decode(operation["requestPut"]["value"])
    return b64decode(operation["requestDeleteRange"]["key"]), None


class SimulatedNode:
    """Decides on what it has followed so far; what it has decided is on its way until `send`. Its clock runs `ahead` of `passed`."""

    def __init__(
        self,
        name: str,
        store: Store,
        passed: Callable[[], float],
        ahead: float,
        brake: float,
        flaps: int,
        settings: RegistrySettings,
    ) -> None:
        self.name = name
        self._store = store
        self._passed = passed

        def clock() -> float:
            return passed() + ahead

        self._clock = clock
        numbers = count()
        self.registry = Registry(
            settings,
            cleanup_interval=2.5, new_id=lambda: f"{name}-{next(numbers)}", started_at=clock(),
            brake=Brake(brake, 20.0, 2.5, 4.0, Random(1)), damping=Damping(flaps, 8.0),
        )  # fmt: skip
        self._layout = Layout(PREFIX)
        self._leading: int | None = None
        self._reserved: dict[str, dict[str, str]] = {}
        self.mirror = Mirror(
            _NO_ETCD, self._layout, self.registry, clock, self.wall, self._on_key,
            lambda decision: self.writes.on_decision(decision), lambda: None,
        )  # fmt: skip
        self.writes = Writes(
            _NO_ETCD, self._layout, self.mirror, self.registry, clock, self.wall, WriteSeams(authorize=[self._authorize]),
            lambda: self._leading, lambda: 7, lambda commit: None, name, self.beat, lambda: None, lambda: 0,
        )  # fmt: skip
        self._under_way: tuple[list[Prepared], list[Json]] | None = None

    def wall(self) -> float:
        return 1e9 + self._passed()

    def hear(self, key: Key) -> None:
        """Its heartbeat, through a batch or at this node."""
        if self.registry.find(key) is not None:
            self.registry.beat(self.registry.at(key), self._clock())

    @property
    def leads(self) -> bool:
        return self._leading is not None

    def beat(self, entry: Entry, check: str | None) -> None:
        entry.lease.renew(self._clock())

    def _authorize(self, owner: str | None, by: Caller) -> None:
        if by.token in self.registry.revoked:
            raise Forbidden(by.name, "anything")

    def _on_key(self, parts: Any, change: Change) -> None:
        match parts:
            case ["leader"]:
                self._leading = change.create_revision if change.value == self.name.encode() else None
            case ["z", node] if change.value is not None:
                self._reserved[node] = exact_json.loads(change.value)
                all = (each.items() for each in self._reserved.values())
                self.registry.reserved_elsewhere = {name: why for each in all for name, why in each}

    # -- steps

    def submit(self, write: Write[Any], by: Caller) -> Future[Any]:
        done: Future[Any] = Future()
        self.writes._queue.append(Waiting(write, by, done))  # type: ignore[arg-type]  # nobody awaits it
        return done

    def decide(self) -> None:
        """To decide alone changes nothing."""
        if self._under_way is not None:
            return
        now, state = self._clock(), state_of(self.registry)
        for waiting in self.writes._queue:
            with contextlib.suppress(DiscoveryError):
                waiting.write.decide(Transaction(self.registry, now, self.wall(), waiting.by, [self._authorize]))
        assert state_of(self.registry) == state
        decided, unsure = self.writes._decide()
        success = [self.writes._nested(each) for each in decided]
        success.append(put(self._layout.commit, keys.dumps((each.decision for each in decided), self._layout.unknown)))
        if decided:
            self._under_way = decided, success
        elif unsure:  # etcd is asked what has happened, and the answer waited for
            self.follow()
        for waiting in unsure:
            waiting.fresh |= not decided
        self.writes._queue.extendleft(reversed(unsure))

    def send(self) -> None:
        if self._under_way is None:
            return
        (decided, success), self._under_way = self._under_way, None
        taken = self._store.txn(success)
        self.follow()
        for each, holds in zip(decided, taken, strict=True):
            if holds:
                self.writes._conclude(each)
            else:
                self.writes._queue.appendleft(each.waiting)

    def follow(self, most: int | None = None) -> None:
        """What has happened since, at most so many revisions of it."""
        start = self.mirror.revision
        for changes in self._store.changes[start : None if most is None else start + most]:
            _run(self.mirror.take(Changes(changes, changes[0].mod_revision)))

    @property
    def is_idle(self) -> bool:
        return self._under_way is None and not self.writes._queue


# A node has it for what is read besides.
_NO_ETCD: Etcd = Etcd(["http://127.0.0.1:1"])


def _run(work: Coroutine[Any, Any, None]) -> None:
    """To its end: it has nothing to wait for."""
    try:
        work.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits for something")
