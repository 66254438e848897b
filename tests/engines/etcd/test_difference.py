"""The way from what a node has to what is in etcd: whole at its end, wherever it is cut, and nobody who stays is missing on it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from discovery.core import codec, exact_json
from discovery.core.caller import SERVER
from discovery.core.event import Commit, Event, InstanceEvent
from discovery.core.instance import Instance
from discovery.engines.etcd.difference import Together, difference
from discovery.engines.etcd.layout import Layout
from discovery.engines.etcd.messages import Change
from discovery.engines.etcd.read_all import Found, Reader
from tests.driven import DrivenRegistry
from tests.store.making import START, WALL, a_registry, spec

LAYOUT = Layout("reg/")
# What may stand under a key: an address of the service, perhaps what cannot be read, and since when.
VALUE = st.tuples(st.integers(80, 83), st.sampled_from(["", "v2", "broken"]), st.integers(1, 9))
# By service and id. Anything may be at any address, as by hand.
STATE = st.dictionaries(st.tuples(st.sampled_from(["web", "api"]), st.sampled_from("abcd")), VALUE, max_size=8)
State = dict[tuple[str, str], tuple[int, str, int]]


def read(state: State) -> Found:
    """As a node reads it."""
    found, reader = Found(), Reader(LAYOUT, lambda parts, change: None)
    for (service, id), (port, content, created) in sorted(state.items()):
        instance = Instance(id, WALL, spec(service, port=port, metadata={"v": content}))
        value = b"?" if content == "broken" else exact_json.dumps(codec.of_instance(instance))
        reader.read(found, ["i", service, id], Change(LAYOUT.instance(service, id), value, created, created))
    return found


def table(registry: DrivenRegistry) -> dict[str, Instance]:
    """As it is, and in step with itself."""
    found = {entry.instance.id: entry.instance for entry in registry}
    of_services = [each for service in registry.services.values() for each in service.entries.values()]
    assert len(of_services) == len(found)
    assert all(registry.at(instance.spec.key).instance is instance for instance in found.values())
    return found


def addresses(registry: DrivenRegistry) -> set[object]:
    return {instance.spec.key for instance in table(registry).values()}


def apply(registry: DrivenRegistry, events: Together) -> None:
    for event in events:
        assert isinstance(event, InstanceEvent)
        known = registry.find(event.instance.id)
        assert event.before == (known and known.instance), "each `before` is what was there"
        registry.change(Commit(registry.index + 1, WALL, SERVER, "resync", (event,)), START)


def walk(registry: DrivenRegistry, found: Found, cut: int | None = None) -> list[Event]:
    """Applies it, as far as `cut`. Who has an address before and after has it all the time."""
    told = list[Event]()
    before = addresses(registry)
    after = {instance.spec.key for _, instance in found.instances.values()}
    for together in list(difference(LAYOUT, registry, found, "a test"))[:cut]:
        apply(registry, together)
        told += together
        assert addresses(registry) >= before & after
    return told


@given(one=STATE, other=STATE, cut=st.integers(0, 8))
def test_a_resync_that_is_cut_anywhere_and_begun_again_ends_with_what_is_in_etcd(
    one: State, other: State, cut: int
) -> None:
    registry = a_registry(max_instances=100)
    walk(registry, read(one))
    kept = table(registry)
    walk(registry, read(other), cut)
    found = read(other)
    walk(registry, found)
    expected = {
        id: instance
        for id, (_, instance) in found.instances.items()
        if LAYOUT.instance(instance.spec.name, id) not in found.passed_over
    }
    left = table(registry)
    assert {id: left[id] for id in expected} == expected
    for id, instance in left.items():
        if id not in expected:
            key = LAYOUT.instance(instance.spec.name, id)
            assert key in found.unreadable or key in found.passed_over, "no other stays as it was"
            assert instance == kept[id]
    assert not walk(registry, read(other)), "nothing is left to do"


@given(states=st.lists(STATE, min_size=1, max_size=4))
def test_all_nodes_have_the_same_where_all_can_be_read_whatever_they_had_before(states: list[State]) -> None:
    last = {
        key: (port, content.replace("broken", "v3"), created) for key, (port, content, created) in states[-1].items()
    }
    old, new = a_registry(max_instances=100), a_registry(max_instances=100)
    for state in states:
        walk(old, read(state))
    walk(old, read(last))
    new.load(read(last).snapshot(1), START, WALL, goes_on=True)
    assert table(old) == table(new)
