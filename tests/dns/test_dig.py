"""A message in text and as JSON. That `dig` prints the same is for tests/stories/test_dig_over_http.py."""

from __future__ import annotations

from typing import Any

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import orjson
import pytest
from dns.edns import EDECode
from hypothesis import given
from hypothesis import strategies as st

from discovery.core.errors import InvalidField
from discovery.dns import dig

TO_TERMINALS = [*range(0x20), *range(0x7F, 0xA0), 0x61C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A)]


def query(name: str, rtype: str = "A", klass: str = "IN") -> dns.message.Message:
    return dns.message.from_wire(dig.query(name, rtype, klass, 4711))


def reply(*records: str, options: list[dns.edns.Option] | None = None) -> dict[str, Any]:
    message = dns.message.make_response(query("web.svc.local"), our_payload=1232)
    message.answer = [dns.rrset.from_text("web.svc.local.", 5, "IN", *record.split(" ", 1)) for record in records]
    message.use_edns(0, 0, 1232, options=options or [])
    return dig.read(message.to_wire())


def test_the_query_is_what_dig_sends() -> None:
    message = query("web.svc.local.", "srv")
    assert message.question[0].to_text() == "web.svc.local. IN SRV"
    assert (message.id, message.edns, message.payload, message.flags) == (4711, 0, 1232, dns.flags.RD)
    assert not message.options


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
        dig.query(*asked, 1)
    assert caught.value.field == field
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "record", ["A 10.0.0.1", "CNAME b.c.", 'TXT "a=b"', "SOA a. b. 1 2 3 4 5", "TYPE65280 \\# 1 00"]
)
def test_a_record_is_there_in_one_line_that_zone_files_can_have(record: str) -> None:
    told = reply(record)
    rtype, text = record.split(" ", 1)
    assert [(each["name"], each["ttl"], each["class"], each["type"], each["data"]) for each in told["answer"]] == [
        ("web.svc.local.", 5, "IN", rtype, text)
    ]
    assert f"\n;; ANSWER SECTION:\nweb.svc.local. 5 IN {record}\n" in told["text"]


@pytest.mark.parametrize(
    ("record", "target"), [("SRV 1 2 3 b.c.", "b.c."), ("NS b.c.", "b.c."), ('URI 1 2 "x://y/"', None)]
)
def test_the_name_in_a_records_data_stands_by_itself(record: str, target: str | None) -> None:
    assert [each["target"] for each in reply(record)["answer"]] == [target]


@pytest.mark.parametrize(("code", "meaning"), [(20, "Not Authoritative"), (3, "Stale Answer"), (4242, "")])
def test_what_is_explained_has_its_code_its_meaning_and_its_text(code: int, meaning: str) -> None:
    told = reply(options=[dns.edns.EDEOption(EDECode.make(code), "why (so)")])
    assert told["explained"] == [{"code": code, "meaning": meaning, "text": "why (so)"}]
    assert f"\n; EDE: {code} ({meaning}): (why (so))\n" in told["text"]


def test_no_text_of_strangers_is_an_order_to_a_terminal() -> None:
    hostile = "".join(map(chr, TO_TERMINALS))
    told = reply(options=[dns.edns.EDEOption(EDECode(0), f"é{hostile}☃")])
    for text in (told["text"], told["explained"][0]["text"]):
        assert not {ord(character) for character in text} & set(TO_TERMINALS) - {0x0A}
        assert "é...." in text
        assert r"\x202e" in text
        assert "☃" in text


@given(st.binary(max_size=80))
def test_whatever_the_octets_are_they_come_out_as_text_and_json(octets: bytes) -> None:
    told = dig.read(octets)
    assert orjson.loads(orjson.dumps(told)) == told
    assert not {ord(character) for character in told["text"]} & set(TO_TERMINALS) - {0x0A}
