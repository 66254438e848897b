"""Promise 1.1 and the TTL: an instance is in no answer from the instant its lease ends, and no TTL reaches past that instant."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discovery.core.instance import Key
from tests.dns.world import World, data, outcome, records
from tests.examples import examples

FORMS = [
    ("web", "A"), ("web", "SRV"), ("web", "TXT"), ("_web._tcp", "SRV"), ("_http._tcp.web", "SRV"), ("tag.web", "A"),
    ("tag.web", "SRV"), ("p3001.web", "A"), ("eu.zone.web", "A"), ("ip-10-0-0-1-p3001.web", "A"),
    ("ip-10-0-0-1-p3001.web", "TXT"),
]  # fmt: skip
# A lease of 16 seconds, from heartbeats; and from reports of a check, while heartbeats have an hour.
LEASES: list[dict[str, Any]] = [{"ttl": 16}, {"ttl": 3600, "checks": [{"ttl": 16, "status": "passing"}]}]


@pytest.mark.parametrize("start", [0.1, 1e9 + 0.3])
@pytest.mark.parametrize("lease", LEASES)
@pytest.mark.parametrize("hot", [False, True])
def test_an_instance_is_in_an_answer_until_its_lease_ends_and_not_from_that_instant_on(
    start: float, lease: dict[str, Any], hot: bool
) -> None:
    world = World(hot=hot)
    world.add("web", "10.0.0.1", now=start, tags=["tag"], zone="eu", ports={"http": 80}, **lease)
    end = start + 16
    for now, what in ((math.nextafter(end, 0), "ANSWER"), (end, "NODATA"), (math.nextafter(end, math.inf), "NODATA")):
        found = {form: outcome(world.ask(f"{form[0]}.svc.local", form[1], now=now)) for form in FORMS}
        assert found == dict.fromkeys(FORMS, what)


@pytest.mark.parametrize("lease", LEASES)
def test_the_ttl_is_what_is_left_rounded_down_and_at_most_the_setting(lease: dict[str, Any]) -> None:
    world = World(ttl=5)
    world.add("web", "10.0.0.1", **lease)
    for left, ttl in ((10.0, 5), (5.5, 5), (5.0, 5), (4.75, 4), (4.0, 4), (1.0, 1), (0.75, 0), (0.001, 0)):
        for rtype in ("A", "SRV", "TXT"):
            reply = world.ask("web.svc.local", rtype, now=16.0 - left)
            assert {record.ttl for record in records([*reply.answer, *reply.additional])} == {ttl}, left


leases = st.lists(
    st.tuples(
        st.floats(1, 3600, allow_nan=False),
        st.floats(0, 3000, allow_nan=False),
        st.booleans(),
        st.sampled_from(["x", "y"]),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=examples(80))
@given(leases, st.floats(0, 7000), st.integers(0, 3600), st.data())
def test_no_answer_outlives_the_shortest_lease_in_it(
    instances: list[tuple[float, float, bool, str]], asked_at: float, setting: int, choice: st.DataObject
) -> None:
    """Against a plain dict of when each instance ends; times near an end are asked for too."""
    world = World(ttl=setting)
    ends: dict[str, float] = {}
    tags: dict[str, str] = {}
    for number, (ttl, start, six, tag) in enumerate(instances):
        ip = f"2001:db8::{number + 1:x}" if six else f"10.0.0.{number + 1}"
        world.add("web", ip, ttl=ttl, now=start, tags=[tag])
        ends[ip], tags[ip] = start + ttl, tag
    near = choice.draw(st.sampled_from([None, *ends.values()]))
    now = asked_at if near is None else near + choice.draw(st.sampled_from([-1.0, -1e-6, 0.0, 1e-6]))
    for name, meant in (("web", set(ends)), ("x.web", {ip for ip, tag in tags.items() if tag == "x"})):
        alive = {ip for ip in meant if now < ends[ip]}
        seen: set[str] = set()
        for rtype in ("A", "AAAA"):
            reply = world.ask(f"{name}.svc.local", rtype, now=now, udp=False)
            seen |= set(data(reply.answer))
            for record in records(reply.answer):
                assert 0 <= record.ttl <= setting
                assert now + record.ttl <= ends[record.data] + 1e-9
        assert seen == alive
        reply = world.ask(f"{name}.svc.local", "SRV", now=now, udp=False)
        assert set(data(reply.additional)) == alive
        for record in records([*reply.answer, *reply.additional]):
            assert now + record.ttl <= min(ends[ip] for ip in alive) + 1e-9


def test_a_heartbeat_brings_an_instance_back_into_the_answer() -> None:
    world = World(lease=10.0)
    world.add("web", "10.0.0.1")
    assert outcome(world.ask("web.svc.local", now=11.0)) == "NODATA"
    world.registry.renew(Key.of("web", "10.0.0.1", 3001), 11.0)
    assert data(world.ask("web.svc.local", now=20.9).answer) == ["10.0.0.1"]
    assert outcome(world.ask("web.svc.local", now=21.0)) == "NODATA"


def test_once_the_cleanup_has_removed_the_last_instance_the_name_is_nxdomain() -> None:
    world = World(lease=10.0)
    world.add("web", "10.0.0.1")
    world.registry.advance(10.0, 10)
    assert outcome(world.ask("web.svc.local", now=10.0)) == "NODATA"
    world.registry.advance(60.0, 10)
    assert outcome(world.ask("web.svc.local", now=60.0)) == "NXDOMAIN"
