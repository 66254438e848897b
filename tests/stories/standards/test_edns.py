"""EDNS options by dig and kdig: NSID (RFC 5001), cookies (RFC 7873, 9018), unknown options and flags (RFC 6891 §6.1)."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.stories.dig import Dug, dig
from tests.stories.process import Discovery, running
from tests.stories.standards.clients import drill, kdig, rcode, rdata, run

SHOP = "shop.svc.local"
ADDRESSES = {"10.0.0.1", "10.0.0.2"}


def reply_of(dug: Dug) -> str:
    """What dig prints of the reply alone; with +qr the query stands before it."""
    return dug.text.partition(";; Got answer:")[2]


@pytest.mark.parametrize("tcp", ["+notcp", "+tcp"])
def test_rfc5001_nsid_names_the_server_and_only_when_asked(shops: Discovery, tcp: str) -> None:
    assert '("node-7")' in reply_of(dig(shops, SHOP, "+nsid", tcp))
    assert 'NSID: 6E6F64652D37 "node-7"' in kdig(shops, SHOP, "+nsid")
    assert "NSID" not in reply_of(dig(shops, SHOP, tcp))


@pytest.mark.parametrize("name", [SHOP, "nobody.svc.local", "www.example.com"])
def test_nsid_comes_with_negatives_too(shops: Discovery, name: str) -> None:
    assert '("node-7")' in reply_of(dig(shops, name, "+nsid"))


@pytest.mark.parametrize("tcp", ["+notcp", "+tcp"])
def test_rfc7873_dig_calls_our_cookie_good(shops: Discovery, tcp: str) -> None:
    dug = dig(shops, SHOP, "+cookie", tcp)
    assert re.search(r"COOKIE: [0-9a-f]{48} \(good\)", reply_of(dug)), dug.text
    assert dug.rdata == ADDRESSES
    assert re.search(r";; COOKIE: [0-9A-F]{48}\n", kdig(shops, SHOP, "+cookie"))
    assert "COOKIE" not in reply_of(dig(shops, SHOP, "+nocookie", tcp))


def test_rfc9018_a_server_cookie_that_we_gave_comes_back_as_it_was(shops: Discovery) -> None:
    given = re.findall(r"COOKIE: ([0-9a-f]{48}) \(good\)", dig(shops, SHOP, "+cookie").text)[0]
    again = dig(shops, SHOP, f"+cookie={given}")
    assert f"COOKIE: {given} (good)" in reply_of(again)
    forged = given[:-2] + ("00" if given[-2:] != "00" else "11")
    dug = dig(shops, SHOP, f"+cookie={forged}")
    assert dug.rdata == ADDRESSES, "not insisted on by default"
    assert forged not in reply_of(dug)


@pytest.mark.parametrize("data", ["", "00", "00" * 9, "00" * 15, "00" * 41])
def test_rfc7873_5_2_2_a_cookie_of_a_wrong_length_is_a_format_error(shops: Discovery, data: str) -> None:
    dug = dig(shops, SHOP, "+nocookie", f"+ednsopt=10:{data}")
    assert (dug.status, dug.answer) == ("FORMERR", [])
    assert dug.edns is not None


@pytest.fixture(scope="module")
def strict() -> Iterator[Discovery]:
    """A server that insists on cookies."""
    with running(DNS_REQUIRE_COOKIES="true", HEARTBEAT_TIMEOUT_SECONDS=3600) as server:
        server.register("shop", "10.0.0.1")
        yield server


def test_rfc7873_5_2_3_badcookie_makes_dig_ask_again_with_the_servers_cookie(strict: Discovery) -> None:
    refused = dig(strict, SHOP, "+cookie", "+nobadcookie")
    assert (refused.status, refused.answer) == ("BADCOOKIE", [])
    served = dig(strict, SHOP, "+cookie", "+badcookie")
    assert (served.status, served.rdata) == ("NOERROR", {"10.0.0.1"})
    assert "BADCOOKIE, retrying" in served.text
    by_kdig = run("kdig", "@127.0.0.1", "-p", str(strict.dns_port), SHOP, "+cookie", "+badcookie")
    assert "retrying with the received one" in by_kdig.stderr
    assert rdata(by_kdig.stdout.rpartition("->>HEADER<<-")[2]) == {"10.0.0.1"}


def test_tcp_proves_the_address_itself_and_clients_without_cookies_are_served(strict: Discovery) -> None:
    assert dig(strict, SHOP, "+cookie", "+nobadcookie", "+tcp").rdata == {"10.0.0.1"}
    assert dig(strict, SHOP, "+nocookie").rdata == {"10.0.0.1"}
    assert dig(strict, SHOP, "+noedns").rdata == {"10.0.0.1"}
    assert rdata(drill(strict, SHOP)) == {"10.0.0.1"}


@pytest.mark.parametrize("option", ["65001", "65001:beef", "4:00", "26946:0011223344", "8:00010800"], ids=str)
@pytest.mark.parametrize("tcp", ["+notcp", "+tcp"])
def test_rfc6891_6_1_2_unknown_options_are_ignored_and_not_echoed(shops: Discovery, option: str, tcp: str) -> None:
    dug = dig(shops, SHOP, "+nocookie", f"+ednsopt={option}", tcp, "+qr")
    assert (dug.status, dug.rdata) == ("NOERROR", ADDRESSES)
    assert re.search(r"flags:[^\n]*; udp: 1232\n;; QUESTION", reply_of(dug)), dug.text


@pytest.mark.parametrize("flags", ["0x1", "0x40", "0x4000", "0x7fff"])
def test_rfc6891_6_1_4_unknown_flags_are_ignored_and_not_echoed(shops: Discovery, flags: str) -> None:
    dug = dig(shops, SHOP, "+nocookie", f"+ednsflags={flags}")
    assert dug.rdata == ADDRESSES
    assert re.search(r"version: 0, flags:; udp", reply_of(dug)), dug.text


def test_rfc3225_do_comes_back_and_there_are_no_signatures(shops: Discovery) -> None:
    dug = dig(shops, SHOP, "SRV", "+dnssec", "+nocookie")
    assert "flags: do;" in reply_of(dug)
    assert {record.type for record in (*dug.answer, *dug.authority, *dug.additional)} == {"SRV", "A", "AAAA"}
    assert "flags: do ;" in drill(shops, "-D", SHOP)
    assert "flags: do;" in kdig(shops, SHOP, "+dnssec")


@pytest.mark.parametrize("flag", ["+zflag", "+adflag", "+cdflag", "+aaflag", "+raflag", "+tcflag"])
def test_rfc8906_header_bits_that_mean_nothing_in_a_query_change_nothing(shops: Discovery, flag: str) -> None:
    dug = dig(shops, SHOP, flag)
    assert (dug.status, dug.rdata) == ("NOERROR", ADDRESSES)
    assert dug.flags - {"cd"} == {"qr", "aa"}
    assert "MBZ" not in reply_of(dug)


@pytest.mark.parametrize("opcode", ["IQUERY", "STATUS", "UPDATE", "OPCODE3", "OPCODE15"])
def test_rfc8906_an_unknown_opcode_is_answered(shops: Discovery, opcode: str) -> None:
    numbers = {"IQUERY": 1, "STATUS": 2, "OPCODE3": 3, "UPDATE": 5, "OPCODE15": 15}
    assert dig(shops, SHOP, f"+opcode={numbers[opcode]}").status == "NOTIMP"


def test_rfc6891_6_1_3_kdig_is_told_badvers(shops: Discovery) -> None:
    assert rcode(kdig(shops, SHOP, "+edns=1")) == "BADVERS"
