"""Caching resolvers in front of us: what is dead leaves them when its lease ends, what is new is found when the negative TTL ends.

Both count whole seconds; neither was ever seen to keep a record longer than its TTL.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest

from tests.stories.dig import Dug
from tests.stories.judges.daemon import dig_through
from tests.stories.judges.dnsmasq import dnsmasq
from tests.stories.judges.relay import Relay, relay
from tests.stories.judges.unbound import unbound
from tests.stories.process import Discovery, running, until

Ask = Callable[..., Dug]
NEGATIVE_TTL = 2


@pytest.fixture(scope="module")
def server() -> Iterator[Discovery]:
    with running(HEARTBEAT_TIMEOUT_SECONDS=600, CLEANUP_INTERVAL_SECONDS=60, DNS_TTL_SECONDS=60) as server:
        yield server


@pytest.fixture(scope="module")
def between(server: Discovery) -> Iterator[Relay]:
    with relay(server) as between:
        yield between


@pytest.fixture(scope="module", params=[unbound, dnsmasq])
def resolver(request: Any, between: Relay, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """Its name and its port."""
    name = request.param.__name__
    with request.param(between.port, tmp_path_factory.mktemp(name)) as port:
        yield name, port


@pytest.fixture
def ask(server: Discovery, resolver: tuple[str, int]) -> Ask:
    return lambda *arguments: dig_through(server, resolver[1], *arguments)


@pytest.fixture
def prefix(resolver: tuple[str, int]) -> str:
    """For services of one resolver's test."""
    return resolver[0]


def test_a_ttl_counts_down_from_what_is_left_of_the_lease_while_we_are_not_asked(
    server: Discovery, ask: Ask, between: Relay, prefix: str
) -> None:
    name = f"{prefix}-counted.svc.local"
    server.register(f"{prefix}-counted", "10.0.1.1", 1, ttl=20)
    seen = [ask(name, "A").answer[0].ttl]
    queries = between.count(name, "A")

    def fell() -> bool:
        seen.append(ask(name, "A").answer[0].ttl)
        return seen[-1] < seen[0]

    until(fell)
    assert 0 < seen[0] < 20
    assert between.count(name, "A") == queries


def test_the_dead_leave_the_cache_when_their_lease_ends(server: Discovery, ask: Ask, prefix: str) -> None:
    """The TTL is cut to the lease, so the cache needs no telling; leases that end at all parts of the second show that it holds. A cache
    that gets no core reads an answer late and keeps it for so much longer, which is no longer than somebody waited for it.
    """
    ends: dict[str, float] = {}
    longest: dict[str, float] = {}

    def asked(name: str) -> frozenset[str]:
        sent = time.monotonic()
        found = frozenset(ask(f"{name}.svc.local", "A").rdata)
        longest[name] = max(longest.get(name, 0.0), time.monotonic() - sent)
        return found

    for tenth in range(0, 10, 2):
        name, seconds = f"{prefix}-pair-{tenth}", 3 + tenth / 10
        server.register(name, "10.0.2.1", 1)
        began = time.monotonic()
        server.register(name, "10.0.2.2", 1, ttl=seconds)
        ends[name] = time.monotonic() + seconds  # or earlier
        assert asked(name) == {"10.0.2.1", "10.0.2.2"} or time.monotonic() > began + seconds
    seen: dict[str, list[tuple[float, frozenset[str]]]] = {name: [] for name in ends}

    def all_are_over() -> bool:
        for name, answers in seen.items():
            answers.append((time.monotonic(), asked(name)))
        return all(answers[-1][0] > ends[name] + longest[name] + 0.3 for name, answers in seen.items())

    until(all_are_over)
    for name, answers in seen.items():
        over = ends[name] + longest[name]
        assert {ips for at, ips in answers if at >= over} == {frozenset({"10.0.2.1"})}, name


@pytest.mark.parametrize(
    ("known", "rtype", "status", "late"),
    [
        pytest.param(None, "A", "NXDOMAIN", "10.0.3.1", id="NXDOMAIN"),
        pytest.param("10.0.3.2", "AAAA", "NOERROR", "2001:db8::3", id="NODATA"),
    ],
)
def test_a_negative_is_cached_for_two_seconds_and_no_longer(
    server: Discovery, ask: Ask, between: Relay, prefix: str, known: str | None, rtype: str, status: str, late: str
) -> None:
    """RFC 2308: by the SOA; so a service that comes late is found soon."""
    asked_at, service, numbers = 0.0, "", count()

    def is_cached() -> bool:
        """False: nothing here ran for so long that it may have been cached no longer."""
        nonlocal asked_at, service
        service = f"{prefix}-late-{rtype.lower()}-{next(numbers)}"
        name = f"{service}.svc.local"
        if known:
            server.register(service, known, 1)
        asked_at = time.monotonic()
        first = ask(name, rtype)
        assert (first.status, first.answer) == (status, [])
        assert [(record.type, record.ttl <= NEGATIVE_TTL) for record in first.authority] == [("SOA", True)]
        queries = between.count(name, rtype)
        assert ask(name, rtype).status == status
        return between.count(name, rtype) == queries or time.monotonic() - asked_at < 1  # whole seconds count

    until(is_cached)
    assert between.count(f"{service}.svc.local", rtype) >= 1
    server.register(service, late, 1)
    until(lambda: ask(f"{service}.svc.local", rtype).rdata == {late})
