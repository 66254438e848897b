"""EDNS(0), RFC 6891: what of a query's OPT is heeded, what of it comes back, and how large a reply may be."""

from __future__ import annotations

from random import Random

import dns.edns
import dns.flags
import dns.rcode
import pytest

from discovery.dns.message.edns import MAX_EXPLANATION, explanation_option
from discovery.dns.message.query import UDP
from discovery.dns.server.cookies import Cookies
from discovery.dns.server.replies import MAX_SERVER_ID, Replies
from discovery.dns.server.responder import Responder
from tests.dns.world import CLIENT, World, data, make_query, outcome, parsed

NAMES = ["web.svc.local", "nope.svc.local", "example.com", "svc.local"]


@pytest.fixture(name="world", scope="module")
def _world() -> World:
    world = World()
    for number in range(200):
        world.add("many", f"10.1.{number}.1", metadata={"text": f"{number:040}"})
    world.add("web", "10.0.0.1")
    return world


@pytest.mark.parametrize("name", NAMES)
def test_rfc6891_7_an_opt_comes_back_only_when_one_was_sent(world: World, name: str) -> None:
    assert world.ask(name).edns == -1
    assert world.ask(name, udp=False).edns == -1
    reply = world.ask(name, edns=1232)
    assert reply.edns == 0
    assert reply.payload >= 512
    assert world.ask(name, edns=1232, udp=False).edns == 0


@pytest.mark.parametrize("version", [1, 2, 17, 255])
@pytest.mark.parametrize("name", NAMES)
def test_rfc6891_6_1_3_a_higher_version_is_badvers_and_told_ours(world: World, name: str, version: int) -> None:
    reply = world.ask(name, edns=1232, version=version)
    assert reply.rcode() == dns.rcode.BADVERS
    assert reply.edns == 0
    assert reply.question
    assert not [*reply.answer, *reply.authority]
    assert not reply.flags & dns.flags.AA


LIMITS = {
    "RFC1035-4.2.1-no-edns": (None, 512),
    "RFC6891-6.2.5-size-0-counts-as-512": (0, 512),
    "RFC6891-6.2.5-size-1-counts-as-512": (1, 512),
    "RFC6891-6.2.5-size-511-counts-as-512": (511, 512),
    "RFC6891-6.2.3-size-512": (512, 512),
    "RFC6891-6.2.3-size-600": (600, 600),
    "RFC6891-6.2.3-size-1231": (1231, 1231),
    "RFC6891-6.2.3-size-1232": (1232, 1232),
    "RFC9715-3.1-size-1400-counts-as-1232": (1400, 1232),
    "RFC9715-3.1-size-65535-counts-as-1232": (65535, 1232),
}


@pytest.mark.parametrize(("size", "limit"), LIMITS.values(), ids=LIMITS)
@pytest.mark.parametrize("rtype", ["A", "SRV", "TXT"])
def test_a_reply_over_udp_fits_and_makes_use_of_its_limit(
    world: World, rtype: str, size: int | None, limit: int
) -> None:
    reply = world.ask("many.svc.local", rtype, edns=size)
    octets = len(reply.wire or b"")
    assert octets <= limit
    assert octets > limit - 130, "no record here takes more with what belongs to it"
    assert reply.flags & dns.flags.TC
    assert (reply.edns == 0) == (size is not None), "the OPT is never what is dropped"


@pytest.mark.parametrize("size", [None, 0, 512, 1232])
def test_over_tcp_the_size_of_edns_does_not_count(world: World, size: int | None) -> None:
    reply = world.ask("many.svc.local", "SRV", edns=size, udp=False)
    assert len(reply.answer) == 200
    assert not reply.flags & dns.flags.TC


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_rfc3225_3_the_do_bit_comes_back_as_it_was_sent(world: World, name: str, wanted: bool) -> None:
    reply = world.ask(name, edns=1232, want_dnssec=wanted)
    assert bool(reply.ednsflags & dns.flags.DO) == wanted


@pytest.mark.parametrize("flags", [0x0001, 0x4000, 0x7FFF])
def test_rfc6891_6_1_4_unknown_flags_are_ignored_and_not_echoed(world: World, flags: int) -> None:
    reply = world.ask("web.svc.local", edns=1232, ednsflags=flags)
    assert reply.ednsflags & 0xFFFF == 0
    assert data(reply.answer) == ["10.0.0.1"]


@pytest.mark.parametrize("code", [4, 9, 100, 4711, 65001, 65535])
@pytest.mark.parametrize("size", [0, 1, 300])
def test_rfc6891_6_1_2_unknown_options_are_ignored_and_not_echoed(world: World, code: int, size: int) -> None:
    reply = world.ask(
        "web.svc.local", edns=1232, options=[dns.edns.GenericOption(dns.edns.OptionType.make(code), b"x" * size)]
    )
    assert data(reply.answer) == ["10.0.0.1"]
    assert not reply.options


def test_rfc8914_text_goes_only_to_clients_that_sent_edns_and_fits(world: World) -> None:
    for name in ("nope.svc.local", "example.com", "x" * 63 + "." + "y" * 63 + ".svc.local"):
        assert world.ask(name).edns == -1
        assert len(world.ask(name, edns=512).wire or b"") <= 512


@pytest.mark.parametrize("end", ["svc.local", "example.com"])
def test_rfc6891_6_2_5_the_longest_server_id_a_cookie_and_the_longest_name_fit_the_smallest_limit(
    world: World, end: str
) -> None:
    replies = Replies(Cookies(bytes(16)), b"x" * MAX_SERVER_ID, None)
    responder = Responder(world.lookup, replies, Random(1))
    labels = [*["n" * 63] * 3, "n" * (253 - 3 * 64 - 1 - len(end)), end]
    options = [dns.edns.GenericOption(dns.edns.OptionType.NSID, b""), dns.edns.CookieOption(b"12345678", b"")]
    query = make_query(".".join(labels), edns=512, options=options).to_wire()
    reply = responder.respond(query, 0.0, CLIENT, UDP)
    assert isinstance(reply, bytes)
    assert len(reply) <= 512
    assert {option.otype for option in parsed(reply).options} == {dns.edns.OptionType.NSID, dns.edns.OptionType.COOKIE}


def test_a_name_server_that_sends_edns_and_options_to_a_service_gets_the_same_answer(world: World) -> None:
    plain, edns = world.ask("web.svc.local", "SRV"), world.ask("web.svc.local", "SRV", edns=4096)
    assert outcome(plain) == outcome(edns) == "ANSWER"
    assert data(plain.answer) == data(edns.answer)
    assert data(plain.additional) == data(edns.additional)


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("no service web", "no service web"),
        ("a \x1b[31mnew\u202e disk\n", "a [31mnew disk"),
        ("x" * 200, "x" * 200),
        ("x" * 201, "x" * 197 + "..."),
        ("é" * 150, "é" * 98 + "..."),
    ],
)
def test_an_explanation_is_cut_to_200_octets_and_has_no_control_characters(text: str, sent: str) -> None:
    octets = explanation_option(0, text)
    assert octets[6:].decode() == sent
    assert int.from_bytes(octets[2:4]) == len(octets) - 4 <= MAX_EXPLANATION + 2
