"""Replies cut to size: never above the limit, TC exactly when an answer was left out, Additional as far as there is room (RFC 2181 §9)."""

from __future__ import annotations

from collections.abc import Sequence

import dns.flags
import dns.message
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.dns.world import Record, World, data, outcome, records
from tests.examples import examples

SIZES = st.one_of(st.none(), st.integers(0, 65535), st.integers(500, 1300))
# How many instances with IPv4 and with IPv6, and how long their service's name is.
FLEETS = st.tuples(st.integers(0, 60), st.integers(0, 60), st.sampled_from([1, 20, 63]))


def world_of(fleet: tuple[int, int, int]) -> tuple[World, str]:
    four, six, length = fleet
    world, service = World(), "s" * length
    for number in range(four):
        world.add(service, f"10.0.{number}.1", 3000 + number % 3, metadata={"number": number}, tags=["t"])
    for number in range(six):
        world.add(service, f"2001:db8::{number + 1:x}", metadata={"six": number, "text": "x" * number}, tags=["t"])
    return world, f"{service}.svc.local"


def limit_of(size: int | None) -> int:
    return 512 if size is None else max(512, min(size, 1232))


def targets(reply: dns.message.Message) -> set[str]:
    return {text.split()[-1].rstrip(".") for text in data(reply.answer)}


def unordered(section: Sequence[object]) -> list[Record]:
    return sorted(records(section))  # type: ignore[arg-type]


@settings(max_examples=examples(80))
@given(FLEETS, SIZES, st.sampled_from(["A", "AAAA", "SRV", "TXT"]), st.sampled_from(["", "t."]))
def test_a_reply_is_cut_honestly(fleet: tuple[int, int, int], size: int | None, rtype: str, tag: str) -> None:
    world, name = world_of(fleet)
    name = tag + name
    whole = world.ask(name, rtype, udp=False, edns=size)
    cut = world.ask(name, rtype, edns=size)
    assert not whole.flags & dns.flags.TC
    assert len(cut.wire or b"") <= limit_of(size)

    kept, all_of_it = records(cut.answer), records(whole.answer)
    assert len(set(kept)) == len(kept)
    assert set(kept) <= set(all_of_it)
    assert bool(cut.flags & dns.flags.TC) == (len(kept) < len(all_of_it))
    assert outcome(cut) == outcome(whole)
    assert kept or not all_of_it, "one record always fits here"
    for reply in (cut, whole):
        owners = [record.name for record in records(reply.additional)]
        assert len(owners) == len(set(owners))
        assert set(owners) <= (targets(reply) if rtype == "SRV" else set())


@pytest.mark.parametrize(("instances", "beside"), [(10, 10), (20, 3), (22, 0)])
def test_an_srv_answer_that_fits_without_its_addresses_is_complete(instances: int, beside: int) -> None:
    world = World()
    for number in range(instances):
        world.add("web", "127.0.0.1", 20000 + number)
    for _ in range(100):  # of all orders
        reply = world.ask("_web._tcp.svc.local", "SRV", edns=1232)
        assert (len(reply.answer), reply.flags & dns.flags.TC) == (instances, 0)
        owners = [record.name for record in records(reply.additional)]
        assert len(owners) == beside
        assert set(owners) <= targets(reply)


@settings(max_examples=examples(30))
@given(FLEETS)
def test_over_tcp_every_instance_is_there(fleet: tuple[int, int, int]) -> None:
    four, six, _ = fleet
    world, name = world_of(fleet)
    assert len(world.ask(name, "A", udp=False).answer) == four
    assert len(world.ask(name, "AAAA", udp=False).answer) == six
    reply = world.ask(name, "SRV", udp=False)
    assert len(reply.answer) == len(reply.additional) == four + six


@settings(max_examples=examples(60))
@given(st.lists(st.integers(1, 63), min_size=1, max_size=3), SIZES, st.sampled_from(["A", "ANY", "SRV", "SOA"]))
def test_a_negative_has_its_soa_or_says_that_it_was_cut(lengths: list[int], size: int | None, rtype: str) -> None:
    world = World()
    name = ".".join([*("n" * length for length in lengths), "svc.local"])
    reply = world.ask(name, rtype, edns=size)
    assert len(reply.wire or b"") <= limit_of(size)
    assert outcome(reply) == "NXDOMAIN"
    assert bool(reply.flags & dns.flags.TC) == (not reply.authority)


def test_a_reply_larger_than_tcp_can_carry_is_cut_and_says_so() -> None:
    world = World()
    for number in range(1500):
        world.add("many", f"10.{number // 250}.{number % 250}.1")
    reply = world.ask("many.svc.local", "SRV", udp=False)
    assert len(reply.wire or b"") <= 65535
    assert reply.flags & dns.flags.TC
    assert len(reply.answer) == len(reply.additional) > 500


def test_the_cut_comes_after_the_shuffle_so_every_instance_gets_its_turn() -> None:
    world = World()
    for number in range(60):
        world.add("many", f"10.0.{number}.1")
    seen: set[str] = set()
    for _ in range(100):
        seen |= set(data(world.ask("many.svc.local").answer))
    assert len(seen) == 60


@pytest.mark.parametrize("size", [None, 512, 1232])
def test_a_referral_too_large_for_udp_is_cut_and_says_so(size: int | None) -> None:
    servers = "".join(
        f"sub NS {'n' * 50}{number:03}.sub\n{'n' * 50}{number:03}.sub A 192.0.2.1\n" for number in range(40)
    )
    world = World(servers)
    reply = world.ask("host.sub.svc.local", edns=size)
    assert len(reply.wire or b"") <= limit_of(size)
    assert reply.flags & dns.flags.TC
    whole = world.ask("host.sub.svc.local", edns=size, udp=False)
    assert len(whole.authority) == len(records(whole.additional)) == 40


@pytest.mark.parametrize("rtype", ["A", "SRV", "AAAA"])
def test_owners_are_compressed_against_the_question(rtype: str) -> None:
    """RFC 1035 §4.1.4. SRV targets are not (RFC 2782), which dnspython's parser would not mind."""
    world = World()
    world.add("web", "10.0.0.1")
    reply = world.ask("web.svc.local", rtype)
    wire = reply.wire or b""
    assert (
        wire.count(b"\3svc\5local\0") == {"A": 1, "SRV": 2, "AAAA": 3}[rtype]
    )  # SRV: the target; AAAA: the SOA's names
