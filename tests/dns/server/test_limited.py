"""The rate limiter in front of the whole responder: what leaves whole, cut or not at all, and whom it never touches."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from ipaddress import ip_network
from typing import Any

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest

from discovery.dns.message.query import UDP, Transport
from discovery.dns.server.cookies import Cookies
from discovery.dns.server.limited import Limited
from discovery.dns.server.rate_limit import RateLimiter
from tests.dns.world import World, make_query, parsed
from tests.examples import examples
from tests.stories.standards.hostile import packets

SEED = bytes(range(16))
SECRET = bytes(16)  # the world's
# Two of one /24, one elsewhere, one of IPv6.
ALICE, HER_NEIGHBOUR, BOB, CAROL = "203.0.113.7", "203.0.113.8", "198.51.100.7", "2001:db8:0:7::1"
NONCE = bytes(range(8))
WHOLE, CUT, SILENCE = "whole", "cut", "silence"
NOW = 10_000.0


def world(*, hot: bool = True) -> World:
    made = World(hot=hot, fixed={"example.org": "www IN A 192.0.2.1\n"})
    for host in range(3):
        made.add("api", f"192.0.2.{host + 1}", now=NOW - 1)
    made.add("web", "192.0.2.9", now=NOW - 1)
    return made


def limited(of: World, per_answer: int = 2, per_prefix: int = 0, slip: int = 2, exempt: Iterable[str] = ()) -> Limited:
    networks = list(map(ip_network, exempt))
    limiter = RateLimiter(per_answer, per_prefix, slip, networks, seed=SEED)
    return Limited(of.responder.respond, limiter, Cookies(SECRET))


def query(name: str = "api.svc.local", *options: dns.edns.Option, rtype: str = "A") -> dns.message.QueryMessage:
    return make_query(name, rtype, edns=1232, options=list(options))


def cookie(server: bytes = b"", nonce: bytes = NONCE) -> dns.edns.Option:
    return dns.edns.CookieOption(nonce, server)


def reply_to(asked: bytes, it: Limited, client: str = ALICE, now: float = NOW) -> bytes | None:
    reply = it.respond(asked, now, client, UDP)
    assert reply is None or isinstance(reply, bytes)
    return reply


def outcome(asked: dns.message.QueryMessage, it: Limited, client: str = ALICE, now: float = NOW) -> str:
    """Every reply must be one to what was asked, for dnspython too."""
    reply = reply_to(asked.to_wire(), it, client, now)
    if reply is None:
        return SILENCE
    message = parsed(reply)
    assert asked.is_response(message)
    if message.flags & dns.flags.TC:
        assert (message.answer, message.authority, message.additional) == ([], [], [])
        return CUT
    assert message.answer or message.rcode() or message.authority
    return WHOLE


def outcomes(times: int, asked: dns.message.QueryMessage, it: Limited, **more: Any) -> list[str]:
    return [outcome(asked, it, **more) for _ in range(times)]


def server_cookie(it: Limited, client: str, now: float, nonce: bytes = NONCE) -> bytes:
    """What the server gives to this client, in whatever reply there is room for it."""
    for _ in range(10):
        reply = reply_to(query("api.svc.local", cookie(nonce=nonce)).to_wire(), it, client, now)
        if reply is not None:
            (shown,) = parsed(reply).options
            assert isinstance(shown, dns.edns.CookieOption)
            return shown.server
    raise AssertionError("no reply at all")


def test_after_the_burst_every_second_reply_leaves_cut_and_the_others_not_at_all() -> None:
    it = limited(world(), per_answer=3)
    assert outcomes(9, query(), it) == [WHOLE] * 3 + [CUT, SILENCE] * 3
    assert (it.slipped, it.dropped) == (3, 3)
    assert outcomes(2, query(), it, now=NOW + 1 / 3) == [WHOLE, CUT]


@pytest.mark.parametrize(("slip", "expected"), [(0, [SILENCE] * 4), (1, [CUT] * 4), (3, [CUT, SILENCE, SILENCE, CUT])])
def test_how_many_slip_is_a_setting(slip: int, expected: list[str]) -> None:
    it = limited(world(), per_answer=1, slip=slip)
    assert outcomes(5, query(), it) == [WHOLE, *expected]


QUESTIONS = [
    *(("api.svc.local", rtype) for rtype in ("A", "SRV", "AAAA", "ANY")),
    *(("nobody.svc.local", "A"), ("svc.local", "SOA"), ("www.example.com", "A"), ("www.example.org", "A")),
]
UNKNOWN = dns.edns.GenericOption(dns.edns.OptionType.make(65001), b"what?")
OPTIONS: dict[str, list[dns.edns.Option] | None] = {
    "no EDNS": None,
    "no options": [],
    "cookie": [dns.edns.CookieOption(NONCE, b"")],
    "NSID and cookie": [dns.edns.GenericOption(dns.edns.OptionType.NSID, b""), dns.edns.CookieOption(NONCE, b"")],
    "unknown": [UNKNOWN],
    "bad cookie": [dns.edns.GenericOption(dns.edns.OptionType.COOKIE, b"short")],
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("hot", [False, True])
def test_what_is_cut_has_its_question_and_a_cookie_and_nothing_else(
    options: list[dns.edns.Option] | None, hot: bool
) -> None:
    of = world(hot=hot)
    for question in QUESTIONS:
        assert_cut(limited(of, per_answer=1, slip=1), question, options)


def assert_cut(it: Limited, question: tuple[str, str], options: list[dns.edns.Option] | None) -> None:
    more = {} if options is None else {"edns": 1232, "want_dnssec": True, "options": options}
    asked = make_query(*question, **more)  # type: ignore[arg-type]
    whole, cut = (parsed(reply_to(asked.to_wire(), it)) for _ in range(2))
    assert asked.is_response(cut)
    assert cut.flags == dns.flags.QR | dns.flags.RD | dns.flags.TC
    assert cut.rcode() == dns.rcode.NOERROR
    assert (cut.edns, cut.ednsflags & 0xFFFF, cut.payload) == (whole.edns, whole.ednsflags & 0xFFFF, whole.payload)
    assert (cut.answer, cut.authority, cut.additional) == ([], [], [])
    assert list(cut.options) == [option for option in whole.options if option.otype == dns.edns.OptionType.COOKIE]
    assert len(cut.wire or b"") <= len(asked.to_wire()) + (16 if cut.options else 0)


def test_badvers_that_is_cut_is_no_larger_than_the_whole_reply() -> None:
    """No cookie is read from a version that is not ours, so none is given."""
    it = limited(world(), per_answer=1, slip=1)
    asked = make_query("api.svc.local", edns=1232, version=1, options=[cookie()])
    whole, cut = (reply_to(asked.to_wire(), it) for _ in range(2))
    assert parsed(whole).rcode() == dns.rcode.BADVERS
    assert parsed(cut).flags & dns.flags.TC
    assert len(cut or b"") <= len(whole or b"")


@pytest.mark.parametrize("rtype", ["A", "SRV", "TXT"])
def test_a_query_for_records_that_is_limited_is_not_looked_up(rtype: str) -> None:
    of = world(hot=False)
    it = limited(of, per_answer=1)
    assert outcomes(21, query(rtype=rtype), it) == [WHOLE] + [CUT, SILENCE] * 10
    assert of.asked == 1


def test_a_prefix_without_tokens_is_not_looked_up_whatever_it_asks() -> None:
    of = world(hot=False)
    it = limited(of, per_answer=0, per_prefix=3)
    for number in range(50):
        outcome(query(f"no-{number}.svc.local"), it)
    assert of.asked == 3


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("question", [("api.svc.local", "SRV"), ("nobody.svc.local", "A")], ids=" ".join)
def test_of_what_is_limited_fewer_octets_leave_than_come(
    question: tuple[str, str], options: list[dns.edns.Option] | None
) -> None:
    it = Limited(world().responder.respond, RateLimiter(seed=SEED), Cookies(SECRET))
    more = {} if options is None else {"edns": 1232, "options": options}
    packet = make_query(*question, **more).to_wire()  # type: ignore[arg-type]
    came = left = whole = 0
    for number in range(2_000):
        reply = reply_to(packet, it, now=NOW + number / 1_000)
        came += len(packet)
        if reply is not None and reply[2] & 2:
            left += len(reply)
        else:
            whole += reply is not None
    assert whole <= 20 + 20 * 2
    assert left < came * 3 / 4


def test_another_answer_another_prefix_and_another_family_have_their_own_allowance() -> None:
    it = limited(world(), per_answer=1)
    assert outcomes(2, query(), it) == [WHOLE, CUT]
    assert outcome(query("web.svc.local"), it) == WHOLE
    assert outcome(query(), it, HER_NEIGHBOUR) == SILENCE
    assert outcome(query(), it, BOB) == WHOLE
    assert outcome(query(), it, CAROL) == WHOLE


def test_random_names_are_one_answer() -> None:
    it = limited(world(), per_answer=2)
    assert [outcome(query(f"no-{number}.svc.local"), it) for number in range(4)] == [WHOLE, WHOLE, CUT, SILENCE]


def test_many_answers_are_held_back_by_the_limit_for_the_prefix() -> None:
    it = limited(world(), per_answer=0, per_prefix=2)
    names = ["api.svc.local", "web.svc.local", "www.example.org", "example.org"]
    assert [outcome(query(name), it) for name in names] == [WHOLE, WHOLE, CUT, SILENCE]


# -- cookies


@pytest.mark.parametrize("client", [ALICE, CAROL, f"{CAROL}%eth0"])
def test_a_server_s_cookie_lifts_the_limit(client: str) -> None:
    it = limited(world(), per_answer=1)
    known = query("api.svc.local", cookie(server_cookie(it, client, NOW)))
    assert set(outcomes(20, known, it, client=client)) == {WHOLE}
    assert SILENCE in outcomes(3, query(), it, client=client), "its neighbours without one are limited all the same"
    assert set(outcomes(5, known, it, client=client)) == {WHOLE}


def test_a_limited_client_gets_its_cookie_with_the_cut_reply_and_is_free_from_then_on() -> None:
    it = limited(world(), per_answer=1)
    assert SILENCE in outcomes(3, query(), it), "somebody else in its prefix floods"
    known = query("api.svc.local", cookie(server_cookie(it, HER_NEIGHBOUR, NOW)))
    assert set(outcomes(50, known, it, client=HER_NEIGHBOUR)) == {WHOLE}


def test_a_cookie_that_must_be_renewed_lifts_the_limit_and_one_that_is_too_old_does_not() -> None:
    it = limited(world(), per_answer=1)
    made = cookie(server_cookie(it, ALICE, NOW))
    assert set(outcomes(20, query("web.svc.local", made), it, now=NOW + 3000)) == {WHOLE}
    assert SILENCE in outcomes(20, query("web.svc.local", made), it, now=NOW + 3700)


def forged(it: Limited) -> dict[str, list[dns.edns.Option]]:
    """What a flood could show that has not seen any answer to its address."""
    own = server_cookie(it, BOB, NOW)
    generic = dns.edns.GenericOption
    code = dns.edns.OptionType.COOKIE
    pattern = b"\0\x0a\0\x18" + NONCE + server_cookie(it, ALICE, NOW)
    return {
        "none": [],
        "a client's alone": [cookie()],
        "another address's": [cookie(own)],
        "a neighbour's": [cookie(server_cookie(it, HER_NEIGHBOUR, NOW))],
        "for another nonce": [cookie(server_cookie(it, ALICE, NOW, bytes(8)))],
        "nothing but zeros": [cookie(bytes(16))],
        "a guess": [cookie(b"\1\0\0\0" + int(NOW).to_bytes(4, "big") + bytes(8))],
        "one octet wrong": [cookie(own[:-1] + bytes((own[-1] ^ 1,)))],
        "one octet short": [generic(code, NONCE + own[:-1])],
        "longer than ours": [cookie(own + bytes(8))],
        "too long to be one": [generic(code, NONCE + bytes(40))],
        "inside another option": [generic(dns.edns.OptionType.make(65001), pattern)],
    }


def test_what_is_no_cookie_of_ours_for_this_address_lifts_nothing() -> None:
    of = world()
    for shown in forged(limited(of)):
        it = limited(of, per_answer=1)
        asked = query("web.svc.local", *forged(it)[shown]).to_wire()
        replies = [reply_to(asked, it) for _ in range(10)]
        assert sum(reply is None for reply in replies) >= 4, shown
        assert sum(reply is not None and not reply[2] & 2 for reply in replies) <= 1, shown


def test_of_two_cookies_it_is_the_one_that_the_responder_reads_that_counts() -> None:
    it = limited(world(), per_answer=1)
    good, bad = cookie(server_cookie(it, ALICE, NOW)), cookie(bytes(16))
    for options in ((good, bad), (bad, good)):
        got = [reply_to(query("web.svc.local", *options).to_wire(), it) for _ in range(6)]
        said = {parsed(reply).rcode() for reply in got if reply is not None}
        free = all(reply is not None and not reply[2] & 2 for reply in got)
        assert free or None in got
        assert said <= {dns.rcode.NOERROR, dns.rcode.FORMERR}


# -- who is never limited


@pytest.mark.parametrize(
    ("exempt", "client"),
    [
        ("203.0.113.0/24", ALICE),
        ("203.0.113.7/32", ALICE),
        ("203.0.113.0/24", f"::ffff:{ALICE}"),
        ("2001:db8::/32", CAROL),
        ("fe80::/10", "fe80::1%eth0"),
    ],
)
def test_an_exempt_network_is_never_limited_and_takes_nothing_from_others(exempt: str, client: str) -> None:
    it = limited(world(), per_answer=1, per_prefix=1, exempt=[exempt])
    assert set(outcomes(20, query(), it, client=client)) == {WHOLE}
    assert outcomes(3, query(), it, client=BOB) == [WHOLE, CUT, SILENCE]
    assert (it.slipped, it.dropped) == (1, 1)


def test_an_answer_that_is_elsewhere_is_not_counted() -> None:
    async def later() -> bytes:
        return b"from another server"

    class Forwards:
        def respond(self, packet: bytes, now: float, client: str, transport: Transport) -> Coroutine[Any, Any, bytes]:
            return later()

    it = Limited(Forwards().respond, RateLimiter(1, 1, exempt=(), seed=SEED), Cookies(SECRET))
    for _ in range(10):
        reply = it.respond(query().to_wire(), NOW, ALICE, UDP)
        assert isinstance(reply, Coroutine)
        with pytest.raises(StopIteration) as answered:
            reply.send(None)
        assert answered.value.value == b"from another server"


# -- parity


@pytest.mark.parametrize("hot", [False, True])
@pytest.mark.parametrize("client", [ALICE, CAROL])
def test_what_is_not_limited_is_what_the_responder_says_to_the_octet(hot: bool, client: str) -> None:
    plain, one, other = world(hot=hot), world(hot=hot), world(hot=hot)
    free = limited(one, per_answer=0)
    exempt = limited(other, per_answer=1, per_prefix=1, exempt=["0.0.0.0/0", "::/0"])
    replies = 0
    for packet in packets(seed=5, count=examples(3000)):
        expected = plain.responder.respond(packet, NOW, client, UDP)
        assert reply_to(packet, free, client) == expected
        assert reply_to(packet, exempt, client) == expected
        replies += expected is not None
    assert replies > examples(1000)
    assert (free.slipped, free.dropped) == (0, 0)


@pytest.mark.parametrize("hot", [False, True])
def test_no_packet_makes_it_fail_and_what_it_cuts_is_never_larger_than_a_cookie_allows(hot: bool) -> None:
    plain, it = world(hot=hot), limited(world(hot=hot), per_answer=1, per_prefix=1, slip=1)
    cut = 0
    for packet in packets(seed=6, count=examples(5000)):
        reply, expected = reply_to(packet, it, CAROL), plain.responder.respond(packet, NOW, CAROL, UDP)
        assert (reply is None) == (expected is None), "with slip 1 nothing is silent"
        if reply is None or reply == expected:
            continue
        assert isinstance(expected, bytes)
        cut += 1
        message = dns.message.from_wire(reply)
        assert message.flags & dns.flags.TC
        assert (message.answer, message.authority, message.additional) == ([], [], [])
        assert reply[:2] == packet[:2]
        assert len(reply) <= min(len(expected), max(12, len(packet)) + 16)
    assert cut > examples(500)
