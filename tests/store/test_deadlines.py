"""The queue of deadlines against a plain dict, and the bound on what it keeps."""

from __future__ import annotations

import gc
import sys
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from discovery.store.deadlines import Deadlines
from discovery.store.service import Entry
from tests.store.making import ALL, START, a_registry, an_entry, spec

# The queue may hold what is stale, but only so much of it: a floor, and a multiple of what is valid.
MOST_STALE = 2_000

ENTRIES = range(5)
TIMES = st.integers(0, 12).map(float)
PUSH = st.tuples(st.just("push"), st.sampled_from(ENTRIES), TIMES)
POP = st.tuples(st.just("pop"), st.just(0), TIMES)
PUT_OFF = st.tuples(st.just("put off"), st.sampled_from(ENTRIES), TIMES)
DISCARD = st.tuples(st.just("discard"), st.sampled_from(ENTRIES), st.just(0.0))


def pop(queue: Deadlines, now: float) -> Entry | None:
    """The next that is due, taken out."""
    while (entry := queue.peek(now)) is None and (due := queue.next) is not None and due <= now:
        pass  # some of the stale rows before it are gone
    if entry is not None:
        queue.discard(entry)
    return entry


@given(st.lists(PUSH | PUSH | POP | PUT_OFF | DISCARD, max_size=60))
def test_it_behaves_as_a_dict_of_deadlines_does(steps: list[tuple[str, int, float]]) -> None:
    queue = Deadlines()
    entries = [an_entry(port + 1) for port in ENTRIES]
    model: dict[int, float] = {}
    for step, number, time in steps:
        if step == "push":
            queue.push(entries[number], time)
            model[number] = min(time, model.get(number, time))
        elif step == "put off":
            queue.put_off(entries[number], time)
            model[number] = time
        elif step == "discard":
            queue.discard(entries[number])
            model.pop(number, None)
        else:
            popped = pop(queue, time)
            if popped is None:
                assert all(due > time for due in model.values())
            else:
                due = model.pop(entries.index(popped))
                assert due <= time
                assert due <= min(model.values(), default=due)
        assert queue.next == min(model.values(), default=None)
        assert len(queue) == len(model)
        assert [entry.due for entry in entries] == [model.get(number) for number in ENTRIES]


@given(st.lists(TIMES, max_size=40))
def test_entries_come_out_in_the_order_of_their_deadlines(times: list[float]) -> None:
    queue = Deadlines()
    for port, time in enumerate(times, 1):
        queue.push(an_entry(port), time)
    order = []
    while queue.next is not None:
        order.append(queue.next)
        assert pop(queue, queue.next) is not None
    assert order == sorted(times)
    assert len(queue) == 0


def test_an_empty_queue_has_nothing_to_give() -> None:
    queue = Deadlines()
    assert (queue.next, queue.peek(float("inf")), len(queue)) == (None, None, 0)


def test_an_entry_is_due_at_its_deadline_and_not_before() -> None:
    queue, entry = Deadlines(), an_entry()
    queue.push(entry, 10.0)
    assert queue.peek(9.999) is None
    assert queue.peek(10.0) is entry
    assert queue.peek(10.0) is entry, "until it is dealt with"
    queue.put_off(entry, 12.0)
    assert queue.peek(11.999) is None
    assert (queue.peek(12.0), entry.due) == (entry, 12.0)
    queue.discard(entry)
    assert (queue.peek(12.0), entry.due) == (None, None)


def test_equal_deadlines_of_ipv4_and_ipv6_do_not_compare_the_entries() -> None:
    registry = a_registry()
    for ip in ("10.0.0.1", "2001:db8::1", "10.0.0.2"):
        registry.register(spec(ip=ip), START, 0.0)
    registry.advance(START + 100, ALL)
    assert len(registry) == 0


def test_an_entry_that_is_pushed_with_ever_earlier_deadlines_does_not_fill_the_queue() -> None:
    queue, entry = Deadlines(), an_entry()
    before = sys.getrefcount(entry)
    most = 0
    for time in range(50_000, 0, -1):
        queue.push(entry, float(time))
        most = max(most, sys.getrefcount(entry) - before)  # every row of the queue refers to its entry
    assert most <= MOST_STALE
    assert queue.next == 1.0


def test_registering_again_with_alternating_ttls_does_not_fill_the_queue() -> None:
    registry = a_registry(max_instances=4)
    entry = registry.register(spec(ttl=3600), START, 0.0)
    before = sys.getrefcount(entry)
    now, most = START, 0
    for turn in range(3 * MOST_STALE):
        now += 0.25
        registry.register(spec(ttl=1 if turn % 2 else 3600), now, 0.0)
        if turn % 7 == 0:
            registry.advance(now, ALL)
        most = max(most, sys.getrefcount(entry) - before)
    assert most <= MOST_STALE
    assert len(registry) == 1


def test_instances_that_come_and_go_are_not_kept_by_the_queue() -> None:
    gc.collect()
    before = _entries()
    registry = a_registry()
    for _ in range(3 * MOST_STALE):
        registry.deregister(registry.register(spec(ttl=3600), START, 0.0).instance.spec.key, "test", START)
    gc.collect()
    assert _entries() - before <= MOST_STALE
    for _ in range(
        MOST_STALE
    ):  # a call drops some of the stale rows, and until they are gone tells a time before the next
        if registry.next_deadline() is None:
            break
    assert registry.next_deadline() is None


def _entries() -> int:
    return sum(isinstance(thing, Entry) for thing in gc.get_objects())


def test_the_order_outlasts_a_crowd_of_entries_whose_deadlines_come_ever_earlier() -> None:
    """Far more rows go stale than are kept, so the queue clears itself out on the way."""
    queue, random = Deadlines(), Random(7)
    model = {an_entry(port): 1e6 for port in range(1, 301)}
    for _ in range(20_000):
        entry = random.choice(list(model))
        model[entry] -= random.randrange(1, 50)
        queue.push(entry, model[entry])
    popped = []
    while (due := queue.next) is not None:
        entry_due = pop(queue, due)
        if entry_due is None:
            continue  # that was a time before the next
        assert model[entry_due] == due
        popped.append(due)
    assert popped == sorted(due for due in model.values() if due < 1e6)


def test_after_a_clear_the_next_registration_frees_only_some_of_what_was_removed() -> None:
    """All that was removed still had its row: the first that came next dropped 68,000 of them, and held the event loop for 100 ms."""
    queue = Deadlines()
    removed = [an_entry(port) for port in range(1, 5_001)]
    unheld = max(sys.getrefcount(entry) for entry in removed)
    for entry in removed:
        queue.push(entry, START + 1)
    for entry in removed:
        queue.discard(entry)

    def left() -> int:
        return sum(sys.getrefcount(entry) > unheld for entry in removed)

    del entry
    assert left() == len(removed)
    queue.push(late := an_entry(5_001), START + 2)
    assert left() >= len(removed) - 200
    for port in range(5_002, 5_202):
        queue.push(an_entry(port), START + 3)
    assert left() == 0
    assert pop(queue, START + 2) is late
