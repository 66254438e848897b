"""Many changes that become one index are made in pieces: whoever has seen an index has all of it, wherever one looks in between."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from discovery.core.caller import SERVER
from discovery.core.event import Commit, InstanceEvent, Kind
from discovery.core.instance import Instance
from discovery.store.log import Compacted, Log
from discovery.store.registry import Registry
from tests.store.making import START, WALL, a_registry, spec

State = dict[str, Instance]

# Which instance is put (or removed, where it is) by one event.
EVENT = st.tuples(st.sampled_from(["web", "api", "db"]), st.integers(1, 4))
PIECE = st.lists(EVENT, min_size=1, max_size=4)
# What becomes one index; or, cut off, becomes one with the next.
GROUP = st.tuples(st.lists(PIECE, min_size=1, max_size=4), st.booleans())


def table(registry: Registry, service: str | None = None) -> State:
    return {
        entry.instance.id: entry.instance
        for entry in registry
        if service is None or entry.instance.spec.name == service
    }


def change(registry: Registry, piece: list[tuple[str, int]], index: int, stamp: float) -> None:
    events, known = [], table(registry)
    for service, port in piece:
        id = f"{service}-{port}"
        before = known.pop(id, None)
        after = None if before is not None and stamp % 2 else Instance(id, stamp, spec(service, port=port))
        if after is not None:
            known[id] = after
        if before is not after:
            kind = Kind.DEREGISTERED if after is None else Kind.UPDATED if before else Kind.REGISTERED
            events.append(InstanceEvent(kind, service, before, after, "a test", before is None))
    registry.change(Commit(index, WALL, SERVER, "resync", tuple(events)), START)


class Reader:
    """Reads the table with its index, then follows the log from there; anew when it is told that some of it is gone."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self.read()

    def read(self) -> None:
        self.index, self.state = self._registry.index, table(self._registry)
        self.is_exact = not self._registry.is_ahead  # else it has more than its index says, until it has followed

    def follow(self) -> None:
        try:
            commits = self._registry.log.after(self.index)
        except Compacted:
            return self.read()
        for commit in commits:
            self.index, self.is_exact = commit.index, True
            for event in commit.events:
                assert isinstance(event, InstanceEvent)
                if event.after is None:
                    self.state.pop(event.instance.id, None)
                else:
                    self.state[event.after.id] = event.after
        return None


class Poll:
    """Waits for a service to change, as a long poll does, and looks anew then."""

    def __init__(self, registry: Registry, service: str) -> None:
        self._registry, self._service = registry, service
        self.read()

    def read(self) -> None:
        self.seen, self.state = self._registry.index_of(self._service), table(self._registry, self._service)

    def follow(self) -> None:
        if self._registry.index_of(self._service) != self.seen:
            self.read()


@given(groups=st.lists(GROUP, min_size=1, max_size=8), most=st.integers(1, 12), data=st.data())
def test_whoever_has_seen_an_index_has_all_of_it(
    groups: list[tuple[list[list[tuple[str, int]]], bool]], most: int, data: st.DataObject
) -> None:
    registry = a_registry(index=100, log=Log(max_events=most), max_instances=100)
    told: list[int] = []
    registry.index_followers.append(lambda services: told.append(registry.index))
    states: dict[int, State] = {100: {}}
    readers, polls = [Reader(registry)], [Poll(registry, service) for service in ("web", "api", "db")]
    for number, (pieces, is_cut) in enumerate(groups):
        index = 110 + 10 * number
        for piece in pieces:
            change(registry, piece, index, number)
            assert registry.index < index, "nobody sees it before it is whole"
            if data.draw(st.booleans(), "somebody comes"):
                readers.append(Reader(registry))
                polls.append(Poll(registry, "web"))
            for reader in readers:
                reader.follow()
                assert reader.index in states
                assert not reader.is_exact or reader.state == states[reader.index]
            for poll in polls:
                poll.follow()
        if is_cut and number < len(groups) - 1:
            continue
        registry.publish(index)
        states[index] = table(registry)
        for reader in readers:
            reader.follow()
        for poll in polls:
            poll.follow()
        assert all(reader.state == states[index] and reader.index == index for reader in readers)
        assert all(poll.state == table(registry, poll._service) for poll in polls)
    assert told == list(states)[1:]
