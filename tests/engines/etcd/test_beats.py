"""Batches of heartbeats: their octets, and whom they renew."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.core.health import Finding, Health
from discovery.core.instance import Registration
from discovery.engines.etcd.beats import Heard, handle_of, pack, unpack
from discovery.engines.etcd.gateway import Etcd
from discovery.engines.etcd.layout import Layout
from discovery.engines.etcd.messages import Change
from discovery.engines.etcd.peers import Peers
from discovery.engines.etcd.presence import Presence
from discovery.store.service import NodeStatus
from tests.store.making import a_registry


@given(st.floats(allow_nan=False), st.lists(st.integers(0, 2**64 - 1), max_size=50))
def test_a_batch_is_read_as_it_was_written(sent: float, handles: list[int]) -> None:
    batch = pack(sent, {0: handles})
    assert len(batch) == 8 + 8 * len(handles)
    found_sent, found = unpack(batch)
    assert (found_sent, list(found)) == (sent, handles)


@given(st.dictionaries(st.integers(0, 300), st.sets(st.integers(0, 30), min_size=1), max_size=8))
def test_each_of_a_batch_is_renewed_as_long_ago_as_it_was_heard(by_age: dict[int, set[int]]) -> None:
    table = a_registry(max_instances=100)
    heard = Heard(table, NodeStatus())
    table.followers.append(heard.follow)
    entries = [table.register(Registration.of("web", f"10.0.0.{number + 1}", 80), -100.0) for number in range(31)]
    _, words = unpack(pack(0.0, {age: [handle_of(entries[n].instance) for n in some] for age, some in by_age.items()}))
    age = 0.0
    for word in words:  # wherever the pieces of a batch are cut
        age, _ = heard.renew([word], NodeStatus("other"), 50.0, age)
    for number, entry in enumerate(entries):
        ages = [age / 10 for age, some in by_age.items() if number in some]
        assert entry.lease.renewed_at == pytest.approx(50.0 - min(ages) if ages else -100.0)


@pytest.mark.parametrize("octets", [b"", b"1234567", b"123456789"])
def test_other_octets_are_refused(octets: bytes) -> None:
    with pytest.raises(ValueError, match="octets"):
        unpack(octets)


def test_octets_are_big_endian() -> None:
    assert pack(0.0, {0: [1]}) == bytes(8) + bytes(7) + b"\x01"


def test_a_batch_renews_those_that_are_known_and_says_whether_one_is_no_suspect_any_more() -> None:
    table = a_registry()
    heard = Heard(table, NodeStatus())
    table.followers.append(heard.follow)
    entry = table.register(Registration.of("Web", "10.0.0.1", 80), 0.0)
    through, other = NodeStatus("one"), NodeStatus("other")
    assert heard.renew([handle_of(entry.instance), 7], through, 5.0, 0.0) == (0.0, False)
    assert entry.lease.renewed_at == 5.0
    assert entry.through is through
    through.silent = True
    assert entry.suspect(6.0)
    assert heard.renew([handle_of(entry.instance)], other, 6.0, 0.5) == (0.5, True)
    assert not entry.suspect(6.0)
    assert entry.lease.renewed_at == 5.5
    table.deregister(entry.instance.id, "gone", 6.0)
    assert heard.renew([handle_of(entry.instance)], through, 7.0, 0.0) == (0.0, False)


def test_what_was_heard_is_taken_once_with_when_it_was_heard_here_and_can_be_given_back() -> None:
    table = a_registry()
    heard = Heard(table, NodeStatus())
    entry = table.register(Registration.of("web", "10.0.0.1", 80), 0.0)
    handle = handle_of(entry.instance)
    heard.note(entry.instance, 1.0)
    heard.note(entry.instance, 2.0)
    entry.lease.renewed_at = 9.0  # another node has heard it since, which is its own to tell
    taken = heard.take()
    assert taken == {handle: 2.0}
    assert heard.take() == {}
    heard.give_back(taken)
    assert heard.take() == {handle: 2.0}
    heard.note(entry.instance, 3.0)
    heard.give_back(taken)
    assert heard.take() == {handle: 3.0}


def test_the_handle_is_of_service_and_id_alone() -> None:
    table = a_registry()
    instance = table.register(Registration.of("web", "10.0.0.1", 80, id="x"), 0.0).instance
    assert (
        handle_of(instance)
        == handle_of(instance._replace(own=Finding(Health.FAILING)))
        != handle_of(instance._replace(id="y"))
    )


def test_a_batch_that_comes_late_takes_nothing_back() -> None:
    table = a_registry()
    heard = Heard(table, NodeStatus())
    table.followers.append(heard.follow)
    entry = table.register(Registration.of("web", "10.0.0.1", 80), 0.0)
    entry.lease.renew(9.0)
    assert heard.renew([handle_of(entry.instance)], NodeStatus("other"), 8.0, 0.0) == (0.0, False)
    assert entry.lease.renewed_at == 9.0
    assert entry.through.node == "", "it was heard here since"


async def test_a_large_batch_leaves_the_event_loop_free_in_between() -> None:
    table = a_registry(max_instances=100_000)
    clock = [0.0]
    layout = Layout("reg/")
    presence = Presence(
        Etcd([]),
        layout,
        table,
        "a",
        lambda: clock[0],
        lambda: 0.0,
        Peers("a", 1.0),
        [],
        lambda write, by: asyncio.Future(),
    )
    table.followers.append(presence.heard.follow)
    entries = [
        table.register(Registration.of("web", f"10.0.{number >> 8}.{number & 255}", 80), 0.0) for number in range(5000)
    ]
    clock[0] = 5.0
    batch = pack(0.0, {0: [handle_of(entry.instance) for entry in entries]})
    presence.on_batch("b", Change(b"reg/h/b", batch, 1, 1))
    clock[0] = 9.0
    seen = []
    for _ in range(4):
        seen.append(sum(entry.lease.renewed_at == 5.0 and entry.through.node == "b" for entry in entries))
        await asyncio.sleep(0)
    assert seen == [2000, 4000, 5000, 5000]
