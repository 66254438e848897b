"""Heartbeats that were refused lately: whose they are believed to be, how long they are remembered, and how many."""

from __future__ import annotations

import time
from collections.abc import Mapping

import pytest

from discovery.core.caller import Caller
from discovery.core.instance import Key
from discovery.store.absent import absent
from discovery.store.refused import KEPT_SECONDS, MAX_KEPT, MAX_OF_CLIENT, RefusedHeartbeats, Why
from discovery.store.registry import Registry
from discovery.store.service import Entry
from tests.driven import APART
from tests.store.making import START, TTL, a_registry, spec

EXPIRED = Why("the token ci expired at 04:12:00", "its token expired")
KEY = Key("web", "10.0.0.1", 80)
OWN = Caller("10.0.0.1")


@pytest.fixture
def entry() -> Entry:
    return a_registry().register(spec(), START)


def note(
    refused: RefusedHeartbeats, entry: Entry | None, now: float, by: Caller = OWN, key: Key = KEY, why: Why = EXPIRED
) -> bool:
    return refused.note(key, entry, by, why, now, now + APART)


def warned(refused: RefusedHeartbeats, now: float) -> Mapping[str, str]:
    return refused.warnings(lambda key: None, now)


def test_they_are_counted_since_the_first_with_the_reason_of_the_last(entry: Entry) -> None:
    refused, revoked = RefusedHeartbeats(), Why("the token ci was revoked", "its token was revoked")
    assert [note(refused, entry, START + 1), note(refused, entry, START + 2, why=revoked)] == [True, True]
    found = refused.of(KEY, entry, START + 3)
    assert found is not None
    assert (found.since, found.last, found.times, found.why) == (START + 1 + APART, START + 2, 2, revoked)
    [text] = warned(refused, START + 3).values()
    assert text.startswith(
        "heartbeats of an instance of web are refused since 2023-11-14T22:13:21Z, 2 times: its token was revoked;"
    )
    assert list(refused.of_service("web", START + 3)) == [KEY]


def test_what_is_known_of_a_name_takes_no_longer_with_as_many_refused_as_are_remembered() -> None:
    """It is looked for with every answer of DNS that a name does not exist."""
    none, many = a_registry(), a_registry()
    for number in range(MAX_KEPT):
        ip = f"10.{number // MAX_OF_CLIENT}.{number % 256}.{number // 256 % 2 + 1}"
        assert note(many.refused, None, START, Caller(ip), Key("web", ip, 80))
    assert len(many.refused.of_service("web", START)) > MAX_OF_CLIENT

    def seconds(registry: Registry) -> float:
        started = time.process_time()
        for _ in range(2_000):
            assert absent(registry, "nobody", START) == ""
        return time.process_time() - started

    assert seconds(many) < 10 * max(seconds(none), 0.001)


@pytest.mark.parametrize(
    ("is_registered", "by", "counts"),
    [
        (True, Caller("10.0.0.1"), True),
        (True, Caller("10.0.0.8"), True),  # its registrant
        (True, Caller("10.0.0.9"), True),  # from there it beat last
        (True, Caller("10.0.0.7"), False),
        (True, Caller("10.0.0.7", "ci"), False),
        (False, Caller("10.0.0.1"), True),
        (False, Caller("10.0.0.7"), False),
        (False, Caller("10.0.0.7", "ci"), True),  # the door let it in
    ],
)
def test_what_a_stranger_could_forge_does_not_count(
    entry: Entry, is_registered: bool, by: Caller, counts: bool
) -> None:
    entry.instance = entry.instance._replace(registrant=Caller("10.0.0.8"))
    entry.beaten_from = "10.0.0.9"
    refused = RefusedHeartbeats()
    for _ in range(2):
        assert note(refused, entry if is_registered else None, START, by) is counts
    assert bool(warned(refused, START)) is counts


def test_one_that_was_taken_since_ends_them_when_no_more_are_refused_for_a_lease(entry: Entry) -> None:
    refused = RefusedHeartbeats()
    note(refused, entry, START + 1)
    entry.lease.renew(START + 2)
    assert refused.of(KEY, entry, START + TTL) is not None, "two processes may beat for one instance"
    assert refused.of(KEY, entry, START + 1 + TTL) is None
    note(refused, entry, START + 20)
    begun_anew = refused.of(KEY, entry, START + 20)
    assert begun_anew is not None
    assert (begun_anew.since, begun_anew.times) == (START + 20 + APART, 1)


def test_they_are_forgotten_after_a_quarter_of_an_hour() -> None:
    refused = RefusedHeartbeats()
    note(refused, None, START)
    assert refused.of(KEY, None, START + KEPT_SECONDS - 1) is not None
    assert refused.of(KEY, None, START + KEPT_SECONDS) is None
    assert not warned(refused, START + KEPT_SECONDS)
    assert not refused.of_service("web", START + KEPT_SECONDS)
    note(refused, None, START + KEPT_SECONDS, key=Key("other", "10.0.0.1", 80))
    assert list(refused._kept) == [Key("other", "10.0.0.1", 80)]


def test_a_client_has_its_share_and_all_together_a_bound() -> None:
    refused = RefusedHeartbeats()
    for port in range(1, 2 * MAX_OF_CLIENT):
        note(refused, None, START, key=Key("web", "10.0.0.1", port))
    assert len(refused._kept) == MAX_OF_CLIENT
    note(refused, None, START + 1, key=Key("web", "10.0.0.1", 1))
    for number in range(MAX_KEPT):
        ip = f"10.1.{number // 256}.{number % 256}"
        for _ in range(2):
            note(refused, None, START + 2, Caller(ip), Key("api", ip, 80))
    assert len(refused._kept) == MAX_KEPT
    assert refused._of_client.total() == MAX_KEPT
    assert warned(refused, START + 3).keys() == {"api"}


def test_one_try_of_who_is_not_registered_is_no_beating_and_warns_of_nothing() -> None:
    refused = RefusedHeartbeats()
    note(refused, None, START)
    assert not warned(refused, START + 1)
    note(refused, None, START + 1)
    assert list(warned(refused, START + 2)) == ["web"]
