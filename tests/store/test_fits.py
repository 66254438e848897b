"""Commits that do not follow from the state: nothing of them is applied. A real registry, and commits with a part that was made up."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discovery.core.caller import NOBODY
from discovery.core.event import Commit, InstanceEvent, Kind
from discovery.core.instance import Instance
from discovery.core.kinds import DrainEvent
from discovery.core.status import Status
from discovery.store.fits import DoesNotFit
from tests.driven import DrivenRegistry
from tests.examples import examples
from tests.store.making import START, WALL, a_registry, spec
from tests.store.state_of import state_of

NAMES, PORTS, IDS = st.sampled_from(["web", "api"]), st.integers(80, 82), st.sampled_from(["a", "b", "c", "d"])
INSTANCES = st.builds(
    lambda id, name, port, status: Instance(id, WALL, spec(name, port=port), status=status),
    IDS, NAMES, PORTS, st.sampled_from([Status.HEALTHY, Status.SUSPECT, Status.UNHEALTHY]),
)  # fmt: skip
CHANGES = st.tuples(st.none() | INSTANCES, st.none() | INSTANCES).filter(any)
EVENTS = st.builds(
    lambda service, change: InstanceEvent(Kind.UPDATED, service, change[0], change[1], "made up"), NAMES, CHANGES
)


def registry_of(instances: list[Instance]) -> DrivenRegistry:
    registry = a_registry()
    for instance in instances:
        if registry.find(instance.id) is None and registry.find(instance.spec.key) is None:
            service = instance.spec.key.service
            event = InstanceEvent(Kind.REGISTERED, service, None, instance._replace(status=Status.HEALTHY), "so", True)
            registry.change(Commit(registry.index + 1, WALL, NOBODY, "register", (event,)), START)
            registry.publish(registry.index + 1)
    return registry


@given(st.lists(INSTANCES, max_size=4), st.lists(EVENTS, min_size=1, max_size=4))
@settings(max_examples=examples(200))
def test_a_commit_is_applied_whole_or_not_at_all(instances: list[Instance], events: list[InstanceEvent]) -> None:
    """Some of them fit: then the table is what putting and deleting makes of it."""
    registry = registry_of(instances)
    told: list[Commit] = []
    registry.followers.append(told.append)
    before, known = state_of(registry), {entry.instance.id: entry.instance for entry in registry}
    commit = Commit(registry.index + 1, WALL, NOBODY, "made up", tuple(events))
    misfit = None
    try:
        registry.change(commit, START)
        registry.publish(commit.index)
    except DoesNotFit as error:
        misfit = error
    if misfit is not None:
        assert set(misfit.services) == {event.service for event in events}
        assert state_of(registry) == before
        assert not told
        return
    assert told == [commit]
    for event in events:
        known[event.instance.id] = event.after or event.instance
        if event.after is None:
            del known[event.instance.id]
    assert {entry.instance.id: entry.instance for entry in registry} == known
    for name, service in registry.services.items():
        assert service.entries
        for (ip, port), entry in service.entries.items():
            assert entry.instance.spec.key == (name, ip, port)
            assert registry.find(entry.instance.id) is entry
    assert sum(registry.liveness.counts.values()) == len(registry)


@pytest.mark.parametrize(
    ("name", "port", "id", "why"),
    [("api", 80, "a", "registered already, as an instance of web"), ("web", 80, "b", "a is registered already at")],
)
def test_it_says_what_does_not_fit(name: str, port: int, id: str, why: str) -> None:
    registry = registry_of([Instance("a", WALL, spec())])
    new: Any = Instance(id, WALL, spec(name, port=port))
    drain = DrainEvent(new.spec.key, None, None, "an event of another kind before it is not applied either")
    events = (drain, InstanceEvent(Kind.REGISTERED, name, None, new, "so", True))
    with pytest.raises(DoesNotFit, match=why):
        registry.change(Commit(9, WALL, NOBODY, "register", events), START)
    assert registry.index == 1
