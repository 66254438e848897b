"""When the next probe is due: each interval, and sooner where the lease would run out without a sign of life."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.core.check import Check
from discovery.core.instance import Instance, Registration
from discovery.core.lease import MAX_TTL, MIN_TTL, Lease, Term
from discovery.plugins.check.watch import Watch
from discovery.store.service import Entry


def a_watch_of(interval: float, lease: Lease) -> Watch:
    check = Check(kind="http", id="http", path="/", interval=interval)
    spec = Registration(name="web", ip="10.0.0.1", port=80, checks=(check,))
    return Watch(Entry(Instance("a", 0.0, spec), lease), check)


def a_watch(interval: float, ttl: float, started: float, renewed_at: float) -> Watch:
    watch = a_watch_of(interval, Lease(Term(ttl), renewed_at))
    watch.started = started
    return watch


@pytest.mark.parametrize(
    ("interval", "ttl", "started", "renewed_at", "due"),
    [
        (10, 600, 100, 100, 110),
        (10, 10, 100, 100, 104),  # the defaults, and nothing but the check: before the lease is half over
        (10, 10, 100, 103, 107),  # it beat at 103
        (10, 10, 100, 106.9, 110),  # it goes on beating: the interval alone
        (10, 10, 104, 100, 108),  # the probe at 104 failed, and nobody beats
        (1, 10, 100, 100, 101),
    ],
)
def test_when_the_next_probe_is_due(interval: float, ttl: float, started: float, renewed_at: float, due: float) -> None:
    assert a_watch(interval, ttl, started, renewed_at).due == due


def test_one_that_was_not_probed_yet_is_due_at_once() -> None:
    assert a_watch_of(10.0, Lease(Term(10), 100.0)).due < 100.0


@given(st.floats(1, 3600), st.floats(MIN_TTL, MAX_TTL), st.floats(0, 1e6))
def test_whoever_lives_by_the_check_alone_is_probed_twice_a_lease(interval: float, ttl: float, start: float) -> None:
    watch = a_watch(interval, ttl, start, start)
    watch.started = watch.due  # a probe that fails
    assert watch.due < watch.entry.lease.expires_at


@given(st.floats(1, 3600), st.floats(MIN_TTL, MAX_TTL), st.floats(0, 1e6))
def test_whoever_beats_as_told_is_probed_at_the_interval(interval: float, ttl: float, start: float) -> None:
    watch = a_watch(interval, ttl, start, start)
    beat = ttl / 3 * 1.1  # the longest that heartbeatIntervalMs asks for
    while watch.entry.lease.renewed_at + beat < start + interval and watch.entry.lease.renewed_at < start + 100 * beat:
        watch.entry.lease.renewed_at += beat
        assert watch.due > watch.entry.lease.renewed_at
    assert watch.due <= start + interval
