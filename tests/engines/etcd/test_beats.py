"""Batches of heartbeats: their octets, and whom they renew."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.core.instance import Registration
from discovery.engines.etcd.beats import Heard, handle_of, pack, unpack
from discovery.store.hearing import Hearing
from tests.store.making import a_registry


@given(st.floats(allow_nan=False), st.lists(st.integers(0, 2**64 - 1), max_size=50))
def test_a_batch_is_read_as_it_was_written(sent: float, handles: list[int]) -> None:
    batch = pack(sent, handles)
    assert len(batch) == 8 + 8 * len(handles)
    found_sent, found = unpack(batch)
    assert (found_sent, list(found)) == (sent, handles)


@pytest.mark.parametrize("octets", [b"", b"1234567", b"123456789"])
def test_other_octets_are_refused(octets: bytes) -> None:
    with pytest.raises(ValueError, match="octets"):
        unpack(octets)


def test_octets_are_big_endian() -> None:
    assert pack(0.0, [1]) == bytes(8) + bytes(7) + b"\x01"


def test_a_batch_renews_those_that_are_known_and_says_how_many_are_not() -> None:
    table = a_registry()
    heard = Heard(table)
    table.followers.append(heard.follow)
    entry = table.register(Registration.of("Web", "10.0.0.1", 80), 0.0)
    through = Hearing("other")
    assert heard.renew([handle_of(entry.instance), 7], through, 5.0) == 1
    assert entry.lease.renewed_at == 5.0
    assert entry.through is through
    table.deregister(entry.instance.id, "gone", 6.0)
    assert heard.renew([handle_of(entry.instance)], through, 7.0) == 1


def test_what_was_heard_is_taken_once_and_can_be_given_back() -> None:
    table = a_registry()
    heard = Heard(table)
    instance = table.register(Registration.of("web", "10.0.0.1", 80), 0.0).instance
    heard.note(instance)
    heard.note(instance)
    taken = heard.take()
    assert taken == {handle_of(instance)}
    assert heard.take() == set()
    heard.give_back(taken)
    assert heard.take() == taken


def test_the_handle_is_of_service_and_id_alone() -> None:
    table = a_registry()
    instance = table.register(Registration.of("web", "10.0.0.1", 80, id="x"), 0.0).instance
    assert handle_of(instance) == handle_of(instance._replace(ttl=5.0)) != handle_of(instance._replace(id="y"))
