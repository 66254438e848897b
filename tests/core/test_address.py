"""IP addresses and ports as clients send them: what is accepted, in which spelling, and what is refused."""

from __future__ import annotations

import contextlib
import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.core.address import (
    client_prefix,
    folded,
    is_host_name,
    parse_address,
    parse_ip,
    parse_port,
    parse_port_or_none,
    place_text,
)
from discovery.core.errors import InvalidField

IPS = {
    "IPv4": ("10.0.0.7", "10.0.0.7"),
    "loopback": ("127.0.0.1", "127.0.0.1"),
    "IPv6 loopback": ("::1", "::1"),
    "blanks around": (" 10.0.0.7\t", "10.0.0.7"),
    "IPv6 in full": ("2001:0db8:0000:0000:0000:0000:0000:0007", "2001:db8::7"),
    "IPv6 in capitals": ("2001:DB8::A", "2001:db8::a"),
    "IPv6 with a dotted tail": ("2001:db8::192.0.2.1", "2001:db8::c000:201"),
    "link-local": ("fe80::1", "fe80::1"),
    "v4-mapped": ("::ffff:10.0.0.1", "10.0.0.1"),
    "v4-mapped in hex": ("::FFFF:a00:1", "10.0.0.1"),
    "the last octets of a net": ("10.0.0.255", "10.0.0.255"),
}

BAD_IPS: dict[str, object] = {
    "a host name": "localhost",
    "three octets": "1.2.3",
    "five octets": "1.2.3.4.5",
    "octet of 256": "1.2.3.256",
    "leading zero": "10.0.0.010",
    "hex octets": "0x7f.0.0.1",
    "one number": "2130706433",
    "a net": "10.0.0.0/8",
    "with a port": "10.0.0.1:80",
    "in brackets": "[::1]",
    "empty": "",
    "blanks": "  ",
    "NUL behind": "10.0.0.1\0",
    "two addresses": "10.0.0.1 10.0.0.2",
    "fullwidth digits": "\uff11.2.3.4",
    "arabic digits": "\u0661.2.3.4",
    "two double colons": "1::2::3",
    "nine groups": "1:2:3:4:5:6:7:8:9",
    "unspecified IPv4": "0.0.0.0",
    "unspecified IPv6": "::",
    "unspecified IPv6 in full": "0:0:0:0:0:0:0:0",
    "v4-mapped unspecified": "::ffff:0.0.0.0",
    "multicast IPv4": "224.0.0.1",
    "last multicast IPv4": "239.255.255.255",
    "multicast IPv6": "ff02::1",
    "v4-mapped multicast": "::ffff:224.0.0.1",
    "broadcast": "255.255.255.255",
    "v4-mapped broadcast": "::ffff:255.255.255.255",
    "scope id": "fe80::1%eth0",
    "scope id on a mapped one": "::ffff:10.0.0.1%1",
    "scope id on a mapped multicast": "::ffff:224.0.0.1%eth0",
    "empty scope id": "fe80::1%",
    "an integer": 2130706433,
    "true": True,
    "null": None,
    "a list": ["10.0.0.1"],
    "an object": {"ip": "10.0.0.1"},
    "bytes of an address": b"\x0a\x00\x00\x01",
    "a long text": "1" * 100_000,
}

PORTS = {
    "lowest": (1, 1),
    "highest": (65535, 65535),
    "decimal text": ("3001", 3001),
    "highest as text": ("65535", 65535),
    "blanks around": (" 80 ", 80),
    "leading zero": ("080", 80),
    "a whole float": (3001.0, 3001),
}

BAD_PORTS: dict[str, object] = {
    "0": 0,
    "65536": 65536,
    "80x": "80x",
    "true": True,
    "false": False,
    "negative": -1,
    "0 as text": "0",
    "65536 as text": "65536",
    "99999 as text": "99999",
    "negative text": "-1",
    "plus sign": "+80",
    "hexadecimal": "0x50",
    "exponent": "8e1",
    "fraction": 80.5,
    "fraction as text": "80.0",
    "underscore": "8_0",
    "blank inside": "8 0",
    "NUL": "80\0",
    "arabic digits": "\u0668\u0660",
    "superscript": "8\u00b2",
    "empty": "",
    "not a number": float("nan"),
    "infinity": float("inf"),
    "huge float": 1e300,
    "more digits than Python prints": 10**5000,
    "a text of 10,000 digits": "1" * 10_000,
    "null": None,
    "a list": [80],
    "an object": {},
    "bytes": b"80",
}


@pytest.mark.parametrize(("text", "canonical"), IPS.values(), ids=IPS)
def test_an_address_has_one_spelling(text: str, canonical: str) -> None:
    assert parse_ip(text) == canonical


@pytest.mark.parametrize("value", BAD_IPS.values(), ids=BAD_IPS)
def test_an_address_that_no_client_could_reach_is_refused(value: object) -> None:
    with pytest.raises(InvalidField) as caught:
        parse_ip(value)
    assert caught.value.field == "ip"
    assert str(caught.value).startswith("ip")


@pytest.mark.parametrize("value", BAD_PORTS.values(), ids=BAD_PORTS)
def test_a_bad_port_is_refused(value: object) -> None:
    with pytest.raises(InvalidField) as caught:
        parse_port(value)
    assert caught.value.field == "port"
    assert str(caught.value).startswith("port")


@pytest.mark.parametrize(("value", "port"), PORTS.values(), ids=PORTS)
def test_a_port_may_be_a_number_or_a_decimal_text(value: object, port: int) -> None:
    parsed = parse_port(value)
    assert (parsed, type(parsed)) == (port, int)


def test_the_field_at_fault_is_the_one_the_caller_names() -> None:
    with pytest.raises(InvalidField, match=r"ports\.admin"):
        parse_port(0, "ports.admin")
    with pytest.raises(InvalidField, match="peer"):
        parse_ip("localhost", "peer")


HOST_NAMES = [
    "db.example.com", "DB.Example.com.", "xn--bcher-kva.example", "a.b", "1.2.3.x4", "3com.com", "a-b.c-d", f"{'a' * 63}.example",
    ".".join(["a" * 49] * 5) + ".abc",
]  # fmt: skip
NO_HOST_NAMES: dict[str, tuple[str, str]] = {
    "a scheme": ("https://db.example.com", "without a scheme"),
    "a port": ("db.example.com:5432", "a field of its own"),
    "an address and a port": ("10.0.0.1:80", "a field of its own"),
    "an underscore": ("my_db.example.com", "'my_db' is not"),
    "an octet of 256": ("10.0.0.256", "four numbers"),
    "three octets": ("1.2.3", "four numbers"),
    "one number": ("2130706433", "four numbers"),
    "a number last": ("db.example.42.", "four numbers"),
    "one label": ("localhost", "at least two labels"),
    "one label and a dot": ("localhost.", "at least two labels"),
    "not ASCII": ("bücher.example", "xn--"),
    "254 octets": ("a." * 125 + "aaaa", "at most 253"),
    "a label of 64": ("a" * 64 + ".example", "64 characters"),
    "a hyphen first": ("-a.example", "'-a' is not"),
    "a hyphen last": ("a-.example", "'a-' is not"),
    "two dots": ("a..example", "empty"),
    "two dots at the end": ("a.example..", "empty"),
    "a dot first": (".a.example", "empty"),
    "a path": ("a.example/x", "'example/x' is not"),
    "a line behind": ("a.exam\nple", r"'exam\\nple' is not"),
    "nothing": ("", "such as"),
    "a wildcard": ("*.example.com", r"'\*' is not"),
}


@pytest.mark.parametrize("name", HOST_NAMES)
def test_a_host_name_stays_as_it_was_sent_and_compares_folded(name: str) -> None:
    assert parse_address(f" {name} ") == name
    assert is_host_name(name)
    assert folded(name) == folded(name.upper()) == folded(name.removesuffix(".")) == name.lower().removesuffix(".")
    with pytest.raises(InvalidField):
        parse_ip(name)


@pytest.mark.parametrize(("text", "said"), NO_HOST_NAMES.values(), ids=NO_HOST_NAMES)
def test_what_is_no_host_name_is_told_why(text: str, said: str) -> None:
    with pytest.raises(InvalidField, match=said) as caught:
        parse_address(text)
    assert caught.value.field == "ip"


@pytest.mark.parametrize("value", [value for value in BAD_IPS.values() if value != "localhost"], ids=type)
def test_what_is_no_address_is_no_host_name_either(value: object) -> None:
    with pytest.raises(InvalidField, match=r"^ip"):
        parse_address(value)


@given(
    st.one_of(st.ip_addresses().map(str), st.from_regex(r"([a-z0-9-]{1,5}\.){1,3}[a-z0-9-]{1,5}\.?", fullmatch=True))
)
def test_a_host_name_is_what_another_library_takes_for_no_address(text: str) -> None:
    with contextlib.suppress(InvalidField):
        address = parse_address(text)
        try:
            ipaddress.ip_address(address)
            is_ip = folded(address) is address  # an instance keeps it twice
        except ValueError:
            is_ip = False
        assert is_host_name(address) is not is_ip


@pytest.mark.parametrize("value", [None, ""])
def test_no_port_is_none(value: object) -> None:
    assert parse_port_or_none(value) == 0
    assert place_text("10.0.0.7", 0) == "10.0.0.7"


@pytest.mark.parametrize("value", [bad for bad in BAD_PORTS.values() if bad not in (None, "")], ids=type)
def test_a_bad_port_is_not_none(value: object) -> None:
    with pytest.raises(InvalidField, match="port"):
        parse_port_or_none(value)


@given(st.integers())
def test_a_number_is_a_port_exactly_from_1_to_65535(number: int) -> None:
    for spelling in (number, str(number)):
        try:
            accepted = parse_port(spelling) == number
        except InvalidField:
            accepted = False
        assert accepted == (1 <= number <= 65535)


@given(st.ip_addresses(v=6))
def test_an_ipv6_address_is_spelt_as_the_system_spells_it(address: ipaddress.IPv6Address) -> None:
    try:
        text = parse_ip(address.exploded)
    except InvalidField:
        assert address.is_multicast or address.is_unspecified or address.ipv4_mapped is not None
        return
    packed = socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
    assert address.packed in (packed, b"\0" * 10 + b"\xff\xff" + packed)
    assert parse_ip(text) == text


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidField):
        assert ipaddress.ip_address(parse_ip(text))


@pytest.mark.parametrize(
    ("address", "whom"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:db8:0:1::7", "2001:db8::/56"),
        ("2001:db8:0:ff::7", "2001:db8::/56"),
        ("2001:db8:0:100::7", "2001:db8:0:100::/56"),
        ("fe80::1%eth0", "fe80::/56"),
        ("", ""),
    ],
)
def test_a_limit_counts_parties(address: str, whom: str) -> None:
    assert client_prefix(address) == whom
