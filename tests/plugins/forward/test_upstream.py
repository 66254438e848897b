"""One question to scripted upstreams: who is asked, how, in which order, and what becomes of what they say."""

from __future__ import annotations

import time
from dataclasses import replace
from ipaddress import ip_network
from random import Random

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rrset
import pytest

from discovery.dns.message.client_subnet import Subnet
from discovery.dns.message.names import from_text
from discovery.dns.message.query import UDP
from discovery.dns.message.values import Answer, Question, Type
from discovery.dns.server.cookies import Cookies
from discovery.dns.server.replies import Replies
from discovery.dns.server.responder import Responder
from discovery.plugins.forward import Forward
from discovery.plugins.forward.order import Order
from discovery.plugins.forward.upstream import ask_first
from tests.dns.world import FORWARDER, World, data, make_query, parsed
from tests.plugins.forward.upstream import (
    Asked,
    FakeUpstream,
    Script,
    reply_to,
    says,
    silent,
    truncated_over_udp,
    upstreams,
)
from tests.waiting import LIMIT

NAME = "www.example.com"
QUESTION = Question(from_text(NAME), Type.A)
# Seconds for each upstream that does not answer, and for the one after it.
SOON = 0.5


async def ask(fakes: list[FakeUpstream], question: Question = QUESTION, seconds: float = LIMIT) -> Answer:
    return await ask_first(Order([fake.address for fake in fakes]), question, seconds, time.monotonic)


def addresses(answer: Answer) -> set[str]:
    return {".".join(map(str, rr.rdata)) for rr in answer.answer if rr.type == Type.A}


async def test_the_answer_of_an_upstream_is_given_as_it_is_and_not_as_ours() -> None:
    with upstreams(says("192.0.2.1", "192.0.2.2")) as fakes:
        answer = await ask(fakes)
        [asked] = fakes[0].asked
    assert addresses(answer) == {"192.0.2.1", "192.0.2.2"}
    assert {rr.ttl for rr in answer.answer} == {300}
    assert {rr.name for rr in answer.answer} == {from_text(NAME)}
    assert not answer.authoritative
    assert not asked.tcp
    assert asked.query.flags & dns.flags.RD, "it is asked to recurse"
    assert asked.query.payload == 1232


async def test_rfc7871_an_alias_that_is_one_zones_alone_has_its_scope_whatever_it_leads_to() -> None:
    world = World(client_zones="10.1.0.0/16=eu-a 10.2.0.0/16=eu-b")
    for number, zone in enumerate(("eu-a", "eu-a", "eu-b", "eu-b")):
        world.add("web", f"host{number}.example.com", zone=zone)
    forward = Forward([], [ip_network(FORWARDER)], SOON, time.monotonic)
    replies = Replies(Cookies(bytes(16)), b"", forward.recurses)
    responder = Responder(forward.lookup(world.lookup), replies, Random(1))
    subnet = Subnet.parse(b"\0\1\x18\0\x0a\1\5")._replace(scope=16)
    way = replace(UDP, locality="eu-a", subnet=subnet)
    reply = responder.respond(make_query("web.svc.local", edns=1232).to_wire(), 0.0, FORWARDER, way)
    assert reply is not None
    assert not isinstance(reply, bytes)
    message = parsed(await reply)
    assert data(message.answer)[0] in ("host0.example.com.", "host1.example.com.")
    assert [option.scopelen for option in message.options if isinstance(option, dns.edns.ECSOption)] == [16]


async def test_truncated_over_udp_it_is_asked_again_over_tcp() -> None:
    many = [f"192.0.2.{number}" for number in range(200)]
    with upstreams(truncated_over_udp(*many)) as fakes:
        answer = await ask(fakes)
        assert [asked.tcp for asked in fakes[0].asked] == [False, True]
    assert addresses(answer) == set(many)


USELESS: dict[str, Script] = {
    "silent": silent,
    "SERVFAIL": says(rcode=dns.rcode.SERVFAIL),
    "REFUSED": says(rcode=dns.rcode.REFUSED),
    "NOTIMP": says(rcode=dns.rcode.NOTIMP),
    "FORMERR": says(rcode=dns.rcode.FORMERR),
    "BADVERS": says(rcode=dns.rcode.BADVERS),
    "garbage": lambda asked: [asked.query.to_wire()[:2] + b"\x80\x00garbage"],
    "its own question": lambda asked: [asked.query.to_wire()],
    "truncated, then silent over TCP": lambda asked: [] if asked.tcp else truncated_over_udp()(asked),
    "truncated, then truncated over TCP's end": lambda asked: [b""] if asked.tcp else truncated_over_udp()(asked),
}


@pytest.mark.parametrize("useless", USELESS)
async def test_the_next_one_is_asked_when_one_is_useless(useless: str) -> None:
    with upstreams(USELESS[useless], says("192.0.2.2")) as fakes:
        answer = await ask(fakes, seconds=SOON if "silent" in useless else LIMIT)
        assert fakes[0].asked
    assert (answer.rcode, addresses(answer)) == (dns.rcode.NOERROR, {"192.0.2.2"})


@pytest.mark.parametrize("rcode", [dns.rcode.NOERROR, dns.rcode.NXDOMAIN])
async def test_no_is_an_answer_too_and_the_next_one_is_not_asked(rcode: dns.rcode.Rcode) -> None:
    def no(asked: Asked) -> list[bytes]:
        reply = reply_to(asked.query, rcode=rcode)
        reply.authority.append(
            dns.rrset.from_text("example.com.", 60, "IN", "SOA", "ns.example.com. root.example.com. 1 2 3 4 60")
        )
        return [reply.to_wire()]

    with upstreams(no, says("192.0.2.2")) as fakes:
        answer = await ask(fakes)
        assert fakes[1].asked == []
    assert (answer.rcode, answer.answer) == (rcode, ())
    assert [(rr.type, rr.ttl) for rr in answer.authority] == [(Type.SOA, 60)], (
        "or the client could not keep it (RFC 2308 §5)"
    )


async def test_the_first_that_answers_is_enough() -> None:
    with upstreams(says("192.0.2.1"), says("192.0.2.2")) as fakes:
        assert addresses(await ask(fakes)) == {"192.0.2.1"}
        assert fakes[1].asked == []


async def test_rfc5452_a_reply_with_a_wrong_id_or_question_is_not_believed() -> None:
    def liar(asked: Asked) -> list[bytes]:
        wrong_id = reply_to(asked.query, "198.51.100.1")
        wrong_id.id ^= 1
        other = dns.message.make_query("other.example.com", "A", id=asked.query.id)
        return [
            wrong_id.to_wire(),
            reply_to(other, "198.51.100.2").to_wire(),
            reply_to(asked.query, "192.0.2.1").to_wire(),
        ]

    with upstreams(liar) as fakes:
        assert addresses(await ask(fakes)) == {"192.0.2.1"}


async def test_rfc5452_each_query_has_an_id_of_its_own() -> None:
    with upstreams(says("192.0.2.1")) as fakes:
        for _ in range(20):
            await ask(fakes)
        assert len({asked.query.id for asked in fakes[0].asked}) > 15


async def test_when_all_are_silent_it_is_servfail_that_names_them_after_the_time_for_each() -> None:
    with upstreams(silent, silent) as fakes:
        begun = time.monotonic()
        answer = await ask(fakes, seconds=SOON)
        took = time.monotonic() - begun
        assert [len(fake.asked) for fake in fakes] == [1, 1]
        assert answer.rcode == dns.rcode.SERVFAIL
        assert answer.explanation is not None
        assert answer.explanation.code == 22
        assert all(str(fake.address) in str(answer.explanation.text) for fake in fakes)
    assert took > 2 * SOON * 0.9


async def test_when_nobody_listens_there_is_an_answer_too() -> None:
    with upstreams(silent) as fakes:
        nowhere = fakes[0].address
    answer = await ask_first(Order([nowhere]), QUESTION, SOON, time.monotonic)
    assert (answer.rcode, answer.explanation is not None) == (dns.rcode.SERVFAIL, True)


async def test_the_last_useless_reply_is_better_than_none() -> None:
    with upstreams(says(rcode=dns.rcode.REFUSED), silent) as fakes:
        assert (await ask(fakes, seconds=SOON)).rcode == dns.rcode.REFUSED


@pytest.mark.parametrize("rtype", [Type.A, Type.AAAA, Type.SRV, Type.TXT, Type.HTTPS, 65280, Type.ANY])
async def test_any_type_is_asked_for_and_any_record_given(rtype: int) -> None:
    texts = {Type.TXT: '"x y"', Type.SRV: "1 2 3 www.example.com.", Type.HTTPS: "1 . port=8443", 65280: "\\# 2 abcd"}

    def script(asked: Asked) -> list[bytes]:
        reply = reply_to(asked.query)
        if text := texts.get(asked.query.question[0].rdtype):
            reply.answer.append(dns.rrset.from_text(NAME + ".", 5, "IN", asked.query.question[0].rdtype, text))
        return [reply.to_wire()]

    with upstreams(script) as fakes:
        answer = await ask(fakes, Question(from_text(NAME), rtype))
        assert [int(asked.query.question[0].rdtype) for asked in fakes[0].asked] == [rtype]
    assert [rr.type for rr in answer.answer] == ([rtype] if rtype in texts else [])


async def test_aliases_keep_their_order() -> None:
    def script(asked: Asked) -> list[bytes]:
        reply = reply_to(asked.query)
        for owner, rtype, text in (
            ("www", "CNAME", "z.example.com."),
            ("z", "CNAME", "a.example.com."),
            ("a", "A", "192.0.2.1"),
        ):
            reply.answer.append(dns.rrset.from_text(f"{owner}.example.com.", 5, "IN", rtype, text))
        return [reply.to_wire()]

    with upstreams(script) as fakes:
        answer = await ask(fakes)
    assert [rr.name[0] for rr in answer.answer] == [b"www", b"z", b"a"]
    assert not answer.ranks, "they are no alternatives to shuffle"
