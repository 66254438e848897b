"""The lease: alive until the instant it runs out, and not at it."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from discovery.core.lease import MAX_TTL, MIN_TTL, Lease, Term

TTLS = st.floats(MIN_TTL, MAX_TTL)
TIMES = st.floats(0, 1e9)


def test_a_lease_lives_for_its_ttl() -> None:
    lease = Lease(Term(10.0), renewed_at=100.0)
    assert lease.expires_at == 110.0
    assert lease.alive(100.0)
    assert lease.alive(109.999)
    assert lease.left(107.5) == 2.5


def test_a_lease_is_dead_from_the_instant_it_runs_out() -> None:
    lease = Lease(Term(10.0), renewed_at=100.0)
    assert lease.alive(math.nextafter(110.0, 0))
    assert not lease.alive(110.0)
    assert not lease.alive(math.nextafter(110.0, math.inf))
    assert lease.left(110.0) == 0.0
    assert lease.left(112.0) == -2.0


def test_a_renewal_counts_the_ttl_from_then_on_once() -> None:
    lease = Lease(Term(10.0), renewed_at=100.0)
    lease.renewed_at = 104.0
    assert lease.expires_at == 114.0  # Eureka's counted it twice


def test_a_new_ttl_counts_from_the_last_renewal() -> None:
    lease = Lease(Term(10.0), renewed_at=100.0)
    lease.term.seconds = 2.0
    assert lease.alive(101.9)
    assert not lease.alive(102.0)


@given(TTLS, TIMES, TIMES)
def test_alive_left_and_expires_at_never_disagree(ttl: float, renewed_at: float, now: float) -> None:
    lease = Lease(Term(ttl), renewed_at)
    assert lease.alive(now) == (lease.left(now) > 0) == (now < lease.expires_at)


def test_an_instance_may_ask_for_a_second_to_an_hour() -> None:
    assert (MIN_TTL, MAX_TTL) == (1, 3600)
