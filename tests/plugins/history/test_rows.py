"""Events as rows and back: every kind, every field that an answer shows."""

from __future__ import annotations

import pytest

from discovery.core.caller import NOBODY, Caller
from discovery.core.event import Commit, Event, InstanceEvent
from discovery.core.instance import Instance
from discovery.plugins.history import rows
from tests.core.test_codec import AFTER, BEFORE, EVENTS


def recorded(instance: Instance) -> Instance:
    """Who registered it is told by the event of that, and what its port said by no answer."""
    return instance._replace(registrant=NOBODY, probed=None)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_comes_back_as_it_was(event: Event) -> None:
    commit = Commit(7, 1e9 + 0.125, Caller("10.0.0.9", "ci"), "register", (event,))
    (row,) = rows.of_commit(*rows.keyed([commit]))
    assert len(row) == rows.EVENT_WIDTH
    shown = event
    if isinstance(event, InstanceEvent):
        before, after = (each and recorded(each) for each in (event.before, event.after))
        shown = event._replace(before=before, after=after, renews=False, buried_until=None)
    assert rows.stored(row) == rows.StoredEvent(7 * rows.PER_COMMIT, 1e9 + 0.125, Caller("10.0.0.9", "ci"), shown)


def test_events_of_one_commit_have_its_index_and_their_order() -> None:
    commit = Commit(7, 1e9, Caller(""), "register", tuple(EVENTS))
    stored = list(map(rows.stored, rows.of_commit(*rows.keyed([commit]))))
    assert [each.event.name for each in stored] == [event.name for event in EVENTS]
    assert {each.index_of_commit for each in stored} == {7}
    assert sorted(stored, key=lambda each: each.key) == stored


def test_a_change_of_status_alone_does_not_repeat_the_registration() -> None:
    after = BEFORE._replace(draining_since=5.0)
    event = EVENTS[1]
    assert isinstance(event, InstanceEvent)
    commit = Commit(7, 1e9, Caller(""), "drain", (event._replace(before=BEFORE, after=after),))
    (row,) = rows.of_commit(*rows.keyed([commit]))
    assert len(row[8]) < 50
    assert rows.stored(row).event == event._replace(before=BEFORE, after=after)


def test_an_instance_of_a_checkpoint_comes_back() -> None:
    for instance in (BEFORE, AFTER):
        row = rows.of_known(instance, 12.5)
        assert rows.instance(row[:-1]) == recorded(instance)
        assert row[-1] == 12.5
