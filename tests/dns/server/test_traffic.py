"""Every query is counted once, under what its reply was: by transport, zone, type, rcode and reason; strangers cannot grow the table."""

from __future__ import annotations

from collections.abc import Coroutine
from ipaddress import ip_network
from random import Random
from typing import Any

import dns.edns
import dns.message
import dns.opcode
import pytest

from discovery.dns.message.query import UDP, Transport
from discovery.dns.message.reason import Reason
from discovery.dns.message.values import Answer, Deferred
from discovery.dns.server.cookies import Cookies
from discovery.dns.server.counted import QueryCounter, counted, infer_outcome
from discovery.dns.server.limited import Limited
from discovery.dns.server.numbers import metrics
from discovery.dns.server.rate_limit import RateLimiter
from discovery.dns.server.responder import Respond, Responder
from discovery.dns.server.traffic import MAX_ZONES, SAMPLE, Exchange, Taken, Traffic
from discovery.dns.zones.live import LIVE_TYPES
from tests.dns.world import World, make_query
from tests.stories.standards.hostile import packets

CLIENT = "203.0.113.7"
ELSEWHERE = {"example.org": "www IN A 192.0.2.1\nchild IN NS ns.example.net.\n"}


def world(**more: Any) -> World:
    made = World("fixed IN A 192.0.2.7\n", hot=True, fixed=ELSEWHERE, **more)
    made.add("api", "192.0.2.1", tags=["blue"])
    for number in range(40):
        made.add("crowd", f"192.0.2.{number + 1}")
    made.add("ill", "192.0.2.2")
    made.drain("ill", "192.0.2.2")
    return made


def counting(of: World, transport: str = "udp", respond: Respond | None = None) -> Respond:
    return counted(respond or of.responder.respond, QueryCounter(transport, of.traffic, lambda: 0.5))


def said(traffic: Traffic, shed: int = 0) -> dict[tuple[str, ...], int]:
    """By zone, rcode and reason: what is not 0."""
    read = {metric.name: metric.read for metric in metrics(traffic, lambda: shed, lambda: 0)}
    found: Any = read["discovery_dns_responses"]()
    return {labels: number for labels, number in found.items() if number}


def asked(traffic: Traffic, shed: int = 0) -> dict[tuple[str, ...], int]:
    """By zone, type and transport."""
    found: Any = metrics(traffic, lambda: shed, lambda: 0)[0].read()
    return {labels: number for labels, number in found.items() if number}


NOTIFY = dns.message.make_query("svc.local", "SOA")
NOTIFY.set_opcode(dns.opcode.NOTIFY)
STATUS = dns.message.make_query("svc.local", "SOA")
STATUS.set_opcode(dns.opcode.STATUS)
QUERY = make_query("api.svc.local", id=1).to_wire()
ONLY_A_COOKIE = dns.message.Message(id=1)
ONLY_A_COOKIE.use_edns(0, options=[dns.edns.CookieOption(bytes(8), b"")])


@pytest.mark.parametrize(
    ("query", "labels"),
    [
        (make_query("api.svc.local"), ("svc.local", "NOERROR", "answer")),
        (make_query("FIXED.svc.local"), ("svc.local", "NOERROR", "answer")),
        (make_query("crowd.svc.local"), ("svc.local", "NOERROR", "truncated")),
        (make_query("api.svc.local", "AAAA"), ("svc.local", "NOERROR", "no_such_type")),
        (make_query("api.svc.local", "TYPE4711"), ("svc.local", "NOERROR", "no_such_type")),
        (make_query("ill.svc.local"), ("svc.local", "NOERROR", "none_healthy")),
        (make_query("nobody.svc.local"), ("svc.local", "NXDOMAIN", "unknown_name")),
        (make_query("a.b.nobody.svc.local"), ("svc.local", "NXDOMAIN", "unknown_name")),
        (make_query("green.api.svc.local"), ("svc.local", "NXDOMAIN", "no_such_instance")),
        (make_query("www.example.org"), ("example.org", "NOERROR", "answer")),
        (make_query("x.child.example.org"), ("example.org", "NOERROR", "referral")),
        (make_query("example.com"), ("other", "REFUSED", "not_our_zone")),
        (make_query("svc.local", "AXFR"), ("svc.local", "REFUSED", "no_transfer")),
        (NOTIFY, ("svc.local", "REFUSED", "not_secondary")),
        (STATUS, ("other", "NOTIMP", "not_implemented")),
        (make_query("api.svc.local", edns=1232, version=1), ("svc.local", "BADVERS", "bad_version")),
        (ONLY_A_COOKIE, ("other", "NOERROR", "cookie")),
    ],
)
def test_the_reason_says_what_the_reply_was(query: dns.message.Message, labels: tuple[str, ...]) -> None:
    it = world()
    of = counting(it)
    for number in (1, 2, 3):  # by the responder, then from kept answers
        of(query.to_wire(), 0.0, CLIENT, UDP)
        assert said(it.traffic) == {labels: number}


@pytest.mark.parametrize(
    ("packet", "labels"),
    [
        (b"", ("other", "none", "ignored")),
        (b"\0\1\x80" + bytes(9), ("other", "none", "ignored")),
        (QUERY[:-1], ("other", "FORMERR", "malformed")),
        (QUERY + b"\0", ("other", "FORMERR", "malformed")),
    ],
)
def test_garbage_counts_too(packet: bytes, labels: tuple[str, ...]) -> None:
    it = world()
    counting(it)(packet, 0.0, CLIENT, UDP)
    assert said(it.traffic) == {labels: 1}
    assert asked(it.traffic) == {("other", "other", "udp"): 1}


def test_a_registry_that_is_being_filled_and_a_brake_that_holds_have_reasons_of_their_own() -> None:
    it = world(brake_percent=30)
    of = counting(it)
    it.registry.loaded = False
    of(make_query("nobody.svc.local").to_wire(), 0.0, CLIENT, UDP)
    it.registry.loaded = True
    it.settle(10.0)
    of(make_query("_crowd._tcp.svc.local", "SRV").to_wire(), 10.0, CLIENT, Transport())
    assert said(it.traffic) == {("svc.local", "SERVFAIL", "not_loaded"): 1, ("svc.local", "NOERROR", "stale"): 1}


def test_bad_cookies_have_a_reason() -> None:
    it = world(require_cookies=True)
    query = make_query("api.svc.local", edns=1232, options=[dns.edns.CookieOption(bytes(8), b"")])
    counting(it)(query.to_wire(), 0.0, CLIENT, UDP)
    assert said(it.traffic) == {("svc.local", "BADCOOKIE", "bad_cookie"): 1}


def test_a_limited_query_is_counted_as_that_and_not_as_what_it_would_have_got() -> None:
    it = world()
    limiter = RateLimiter(2, 0, 2, [ip_network("10.0.0.0/8")], seed=bytes(16))
    of = counting(it, respond=Limited(it.responder.respond, limiter, Cookies(bytes(16)), it.traffic).respond)
    for _ in range(6):
        of(make_query("api.svc.local").to_wire(), 0.0, CLIENT, UDP)
    of(b"\0", 0.0, CLIENT, UDP)
    assert said(it.traffic) == {
        ("svc.local", "NOERROR", "answer"): 2,
        ("svc.local", "NOERROR", "rate_limited"): 2,
        ("svc.local", "none", "rate_limited"): 2,
        ("other", "none", "ignored"): 1,
    }
    assert sum(asked(it.traffic).values()) == 7


def test_types_zones_and_transports_are_labels() -> None:
    it = world()
    for transport, names in {"udp": ["api.svc.local"], "tcp": ["api.svc.local"], "tls": ["x.example.org"]}.items():
        for name in names:
            for rtype in ("A", "SRV", "TYPE65280"):
                counting(it, transport)(make_query(name, rtype).to_wire(), 0.0, CLIENT, UDP)
    assert asked(it.traffic) == {
        **{("svc.local", rtype, way): 1 for rtype in ("A", "SRV", "other") for way in ("udp", "tcp")},
        **{("example.org", rtype, "tls"): 1 for rtype in ("A", "SRV", "other")},
    }


@pytest.mark.parametrize("name", ["nobody.svc.local", "api.svc.local", "NOBODY.Svc.local"])
def test_every_type_of_instances_is_counted_by_its_name_whether_there_is_an_answer_or_not(name: str) -> None:
    """Octets of a type are no letters: 65, HTTPS, must not become 97."""
    it = world()
    respond = counting(it)
    for _ in range(2):  # the second may be a kept answer
        for kind in LIVE_TYPES:
            respond(make_query(name, kind.name).to_wire(), 0.0, CLIENT, UDP)
    assert asked(it.traffic) == {("svc.local", kind.name, "udp"): 2 for kind in LIVE_TYPES}


def test_what_the_kernel_dropped_counts_as_shed() -> None:
    traffic = Traffic()
    assert said(traffic, shed=7) == {("other", "none", "shed"): 7}
    assert asked(traffic, shed=7) == {("other", "other", "udp"): 7}


def test_all_that_may_be_there_is_there_from_the_start_with_0() -> None:
    it = world()
    for metric in metrics(it.traffic, lambda: 0, lambda: 0)[:2]:
        readings: Any = metric.read()
        assert readings
        assert set(readings.values()) == {0}
        assert {zone for zone, *_ in readings} == {"svc.local", "example.org", "other"}


def test_kept_answers_are_counted_apart() -> None:
    it = world()
    of = counting(it)
    kept: Any = metrics(it.traffic, lambda: 0, lambda: 0)[2].read
    seen = []
    for _ in range(3):
        for name in ("api.svc.local", "nobody.svc.local", "green.api.svc.local"):
            of(make_query(name).to_wire(), 0.0, CLIENT, UDP)
        seen.append(kept()[()])
    assert seen == [1, 3, 5]  # a name that surely does not exist needs no first time


def test_each_query_is_counted_once_whatever_is_in_it() -> None:
    it = world()
    of = counting(it)
    hostile = list(packets(1, 3000))
    for number, packet in enumerate(hostile, 1):
        of(packet, 0.0, CLIENT, UDP)
        if number % 500 == 0:
            assert sum(said(it.traffic).values()) == sum(asked(it.traffic).values()) == number


def test_strangers_cannot_grow_the_table() -> None:
    it = world()
    of = counting(it)
    for rtype in range(300):
        for name in ("api.svc.local", f"x{rtype}.svc.local", f"x{rtype}.com", f"t{rtype}.api.svc.local"):
            of(make_query(name, f"TYPE{rtype}").to_wire(), 0.0, CLIENT, UDP)
    assert len(list(it.traffic.outcomes)) < 150


def test_only_some_zones_have_a_label_of_their_own() -> None:
    traffic = Traffic()
    traffic.follow((b"zone-%d" % number,) for number in range(2 * MAX_ZONES))
    assert len(traffic.zones) == MAX_ZONES + 1
    assert traffic.zones[-1] == "other"


# -- replies that take time


async def later(answer: Answer) -> Answer:
    return answer


def slow(it: World) -> Responder:
    return Responder(
        lambda request, now: Deferred(lambda: later(Answer.failed())), it.plain._replies, Random(1), it.traffic
    )


def begun(of: Respond) -> Coroutine[Any, Any, bytes]:
    reply = of(make_query("example.com").to_wire(), 0.0, CLIENT, UDP)
    assert isinstance(reply, Coroutine)
    return reply


async def test_a_reply_that_takes_time_is_counted_when_it_is_there() -> None:
    it = world()
    of = counting(it, respond=slow(it).respond)
    first, second = begun(of), begun(of)
    counting(it)(make_query("api.svc.local").to_wire(), 0.0, CLIENT, UDP)  # in between
    assert said(it.traffic) == {("svc.local", "NOERROR", "answer"): 1}
    await first
    assert said(it.traffic)["other", "SERVFAIL", "failed"] == 1
    second.close()  # there was no room for it
    assert said(it.traffic)["other", "none", "shed"] == 1


def test_a_reply_of_several_messages_counts_as_streamed() -> None:
    it = world()
    streams = Transport(stream=lambda messages: None)
    counting(it, "tcp", infer_outcome(lambda *query: None, it.traffic))(
        make_query("svc.local", "AXFR").to_wire(), 0.0, CLIENT, streams
    )
    assert said(it.traffic) == {("svc.local", "NOERROR", "streamed"): 1}
    assert asked(it.traffic) == {("svc.local", "AXFR", "tcp"): 1}


# -- who looks closer


def test_one_query_of_sixteen_is_shown_on_average_and_measured() -> None:
    it, seen = world(), list[Taken]()
    it.traffic.samples.append(seen.extend)
    of = counting(it)
    for _ in range(100 * SAMPLE):
        of(make_query("api.svc.local").to_wire(), 0.0, CLIENT, UDP)
    it.traffic.hand_over()
    assert 80 < len(seen) < 120
    assert sum(it.traffic.seconds["udp"].counts) == sum(it.traffic.octets["udp"].counts) == len(seen)
    assert {seconds for *_, seconds in seen} == {0.5}


def test_a_watcher_sees_each_query_from_the_next_on_and_the_samples_stay_samples() -> None:
    it, watched, sampled = world(), list[Exchange](), list[Taken]()
    of = counting(it)
    it.traffic.samples.append(sampled.extend)
    of(make_query("api.svc.local").to_wire(), 0.0, CLIENT, UDP)
    it.traffic.watch(watched.append)
    it.traffic.hand_over()
    before = len(sampled)
    for _ in range(320):
        of(make_query("api.svc.local").to_wire(), 0.0, CLIENT, UDP)
    it.traffic.unwatch(watched.append)
    it.traffic.hand_over()
    assert len(watched) == 320
    assert 5 < len(sampled) - before < 50
    for _ in range(320):
        of(make_query("api.svc.local").to_wire(), 0.0, CLIENT, UDP)
    assert len(watched) == 320
    assert watched[0].outcome.reason is Reason.ANSWER


def test_one_that_fails_keeps_nobody_from_its_answer(caplog: pytest.LogCaptureFixture) -> None:
    it = world()

    def fail(exchange: Exchange) -> None:
        raise ValueError("a defect")

    it.traffic.watch(fail)
    assert counting(it)(make_query("api.svc.local").to_wire(), 0.0, CLIENT, UDP)
    assert "could not be looked at" in caplog.text
