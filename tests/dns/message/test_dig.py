"""A message as dig prints it. That real `dig` prints the same is for tests/stories/test_dig_over_http.py."""

from __future__ import annotations

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from dns.edns import EDECode
from hypothesis import given
from hypothesis import strategies as st

from discovery.core.errors import InvalidField
from discovery.dns.message import dig

COOKIE = bytes(range(8))
TO_TERMINALS = [*range(0x20), *range(0x7F, 0xA0), 0x61C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A)]


def query(name: str, rtype: str = "A", klass: str = "IN") -> dns.message.Message:
    return dns.message.from_wire(dig.query(name, rtype, klass, 4711, COOKIE))


def reply(name: str = "web.svc.local", *records: str, options: list[dns.edns.Option] | None = None) -> str:
    message = dns.message.make_response(query(name), our_payload=1232)
    message.flags |= dns.flags.AA
    message.answer = [dns.rrset.from_text(f"{name}.", 5, "IN", *record.split(" ", 1)) for record in records]
    message.use_edns(0, 0, 1232, options=options or [])
    return dig.printed(message.to_wire(), COOKIE)


def test_the_query_is_what_dig_sends() -> None:
    message = query("web.svc.local.", "srv")
    assert message.question[0].to_text() == "web.svc.local. IN SRV"
    assert (message.id, message.edns, message.payload, message.flags) == (4711, 0, 1232, dns.flags.RD)
    (cookie,) = message.options
    assert isinstance(cookie, dns.edns.CookieOption)
    assert (cookie.client, cookie.server) == (COOKIE, b"")


@pytest.mark.parametrize(
    ("name", "asked"),
    [("web", "web."), (".", "."), ("a\\.b.svc.local", "a\\.b.svc.local."), ("\\007.svc.local", "\\007.svc.local."), ("WeB.x", "WeB.x.")],
)  # fmt: skip
def test_a_name_is_absolute_and_may_have_escapes(name: str, asked: str) -> None:
    assert query(name).question[0].name.to_text() == asked


@pytest.mark.parametrize(
    ("rtype", "number"), [("A", 1), ("aaaa", 28), ("ANY", 255), ("TYPE1", 1), ("type65534", 65534), ("NSEC3PARAM", 51)]
)
def test_a_type_is_a_word_or_a_number(rtype: str, number: int) -> None:
    assert query("web", rtype).question[0].rdtype == number


@pytest.mark.parametrize(
    ("field", "asked", "says"),
    [
        ("name", ("a..b", "A", "IN"), "is no domain name"),
        ("name", (f"{'a' * 64}.b", "A", "IN"), "is no domain name"),
        ("name", (".".join(["a" * 63] * 5), "A", "IN"), "is no domain name"),
        ("name", ("a\\999", "A", "IN"), "is no domain name"),
        ("name", ("bücher.svc.local", "A", "IN"), "xn--"),
        ("name", ("a b", "A", "IN"), "\\032"),
        ("name", ("a\x1b[31m", "A", "IN"), "must be written"),
        ("type", ("web", "FOO", "IN"), "TYPE65"),
        ("type", ("web", "TYPE65536", "IN"), "TYPE65"),
        ("type", ("web", "TYPE0", "IN"), "can be asked for"),
        ("type", ("web", "OPT", "IN"), "can be asked for"),
        ("type", ("web", "AXFR", "IN"), "zone transfer"),
        ("type", ("web", "TYPE251", "IN"), "zone transfer"),
        ("class", ("web", "A", "HS"), "must be IN"),
    ],
)
def test_what_cannot_be_asked_says_which_part_of_it(field: str, asked: tuple[str, str, str], says: str) -> None:
    with pytest.raises(InvalidField, match=field) as caught:
        dig.query(*asked, 1, COOKIE)
    assert caught.value.field == field
    assert says in str(caught.value)


def test_columns_are_those_of_dig() -> None:
    long = "ip-127-0-0-1-p3001.user-service.svc.local"
    assert "\nweb.svc.local.\t\t5\tIN\tA\t10.0.0.1\n" in reply("web.svc.local", "A 10.0.0.1")
    assert "\nuser-service.svc.local.\t5\tIN\tA\t10.0.0.1\n" in reply("user-service.svc.local", "A 10.0.0.1")
    assert f"\n{long}. 5 IN\tA 10.0.0.1\n" in reply(long, "A 10.0.0.1")


def test_a_cookie_is_told_from_none_that_is_ours() -> None:
    def fate(client: bytes, server: bytes) -> str:
        printed = reply(options=[dns.edns.CookieOption(client, server)])
        return printed.partition("; COOKIE: ")[2].partition("\n")[0]

    assert fate(COOKIE, b"s" * 16).endswith(" (good)")
    assert fate(COOKIE, b"").endswith(" (echoed)")
    assert fate(b"another!", b"s" * 16).endswith(" (bad)")


def test_what_is_explained_has_its_code_its_meaning_and_its_text() -> None:
    assert "\n; EDE: 20 (Not Authoritative): (not here)\n" in reply(
        options=[dns.edns.EDEOption(EDECode(20), "not here")]
    )
    assert "\n; EDE: 3 (Stale Answer)\n" in reply(options=[dns.edns.EDEOption(EDECode(3))])
    assert "\n; EDE: 4242: (why)\n" in reply(options=[dns.edns.EDEOption(EDECode.make(4242), "why")])


def test_an_option_that_is_not_known_is_shown_in_octets() -> None:
    assert '; OPT=65001: 61 07 62 ("a.b")\n' in reply(
        options=[dns.edns.GenericOption(dns.edns.OptionType.make(65001), b"a\x07b")]
    )


def test_no_text_of_strangers_is_an_order_to_a_terminal() -> None:
    hostile = "".join(map(chr, TO_TERMINALS))
    printed = reply(options=[dns.edns.EDEOption(EDECode(0), f"é{hostile}☃")])
    assert not {ord(character) for character in printed} & set(TO_TERMINALS) - {0x09, 0x0A}
    assert "é...." in printed
    assert "\\x202e" in printed
    assert "☃)\n" in printed


@given(st.binary(max_size=80))
def test_whatever_the_octets_are_they_come_out_as_text(octets: bytes) -> None:
    printed = dig.printed(octets, COOKIE)
    assert printed.endswith("\n")
    assert not {ord(character) for character in printed} & set(TO_TERMINALS) - {0x09, 0x0A}
