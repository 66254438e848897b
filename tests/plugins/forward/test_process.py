"""The whole process as a legacy host's only resolver: dig and sockets ask it, scripted upstreams stand for the rest of the world."""

from __future__ import annotations

import base64
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import dns.flags
import dns.message
import dns.query
import dns.rcode
import pytest

from tests.plugins.forward.server import SHOP, WWW, forwarding, resolve
from tests.plugins.forward.upstream import (
    Asked,
    FakeUpstream,
    says,
    truncated_over_udp,
    upstreams,
)
from tests.stories.dig import dig
from tests.stories.process import LIMIT, Discovery, until


def by_name(asked: Asked) -> list[bytes]:
    """What the rest of the world says."""
    first = str(asked.query.question[0].name).partition(".")[0]
    if first == "nobody":
        return says(rcode=dns.rcode.NXDOMAIN)(asked)
    if first == "many":
        return truncated_over_udp(*(f"192.0.2.{number}" for number in range(250)))(asked)
    return says("192.0.2.1")(asked)


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeUpstream]:
    with upstreams(by_name) as [fake]:
        yield fake


@pytest.fixture(scope="module")
def server(fake: FakeUpstream) -> Iterator[Discovery]:
    """127.0.0.1 and 127.0.0.3 are served, 127.0.0.2 is not."""
    with forwarding([fake], FORWARD_CLIENTS="127.0.0.1/32, 127.0.0.3/32") as one:
        yield one


@pytest.mark.parametrize("transport", ["+notcp", "+tcp"])
def test_names_outside_our_zones_come_from_the_upstream(server: Discovery, transport: str) -> None:
    dug = resolve(server, WWW, transport)
    assert (dug.status, dug.rdata, dug.transport) == ("NOERROR", {"192.0.2.1"}, "TCP" if transport == "+tcp" else "UDP")
    assert {"qr", "ra", "rd"} == dug.flags, "not ours: AA is clear"
    assert resolve(server, "nobody.example.com", transport).status == "NXDOMAIN"
    assert resolve(server, "WwW.eXaMpLe.CoM", transport).question == "WwW.eXaMpLe.CoM."


def test_a_large_answer_is_cut_for_the_client_and_whole_over_tcp(server: Discovery) -> None:
    cut = resolve(server, "many.example.com", "+ignore")
    assert "tc" in cut.flags
    assert cut.size <= 1232
    whole = resolve(server, "many.example.com")
    assert (whole.transport, len(whole.answer)) == ("TCP", 250)


@pytest.mark.parametrize("transport", ["+notcp", "+tcp"])
def test_a_client_of_another_network_is_refused_and_nobody_asked(
    server: Discovery, fake: FakeUpstream, transport: str
) -> None:
    before = len(fake.asked)
    dug = resolve(server, "-b", "127.0.0.2", WWW, transport)
    assert (dug.status, dug.answer) == ("REFUSED", [])
    assert "ra" not in dug.flags
    assert len(fake.asked) == before
    assert resolve(server, "-b", "127.0.0.3", WWW, transport).status == "NOERROR"


@pytest.mark.parametrize(("client", "served"), [("127.0.0.1", True), ("127.0.0.2", False), ("127.0.0.3", True)])
@pytest.mark.parametrize("name", [SHOP, "nobody.svc.local", "svc.local", "1.0.0.10.in-addr.arpa"])
def test_our_own_names_are_answered_for_all_and_ra_is_set_for_those_served(
    server: Discovery, fake: FakeUpstream, name: str, client: str, served: bool
) -> None:
    before = len(fake.asked)
    dug = resolve(server, "-b", client, name, "A")
    assert dug.status == ("NXDOMAIN" if name.startswith("nobody") else "NOERROR")
    assert ("aa" in dug.flags, "ra" in dug.flags) == (True, served)
    assert len(fake.asked) == before


@pytest.mark.parametrize(
    "arguments", [["-x", "192.0.2.77"], ["example.", "MX"], [".", "NS"], ["x.legacy.example"]], ids=str
)
def test_everything_else_is_forwarded(server: Discovery, fake: FakeUpstream, arguments: list[str]) -> None:
    resolve(server, *arguments)
    asked = fake.asked[-1].query.question[0]
    assert str(asked.name) == resolve(server, *arguments).question


def test_what_is_no_question_to_forward_is_not(server: Discovery, fake: FakeUpstream) -> None:
    before = len(fake.asked)
    assert resolve(server, "version.bind", "CH", "TXT").answer
    assert server.ask("example.com", "AXFR").rcode() == dns.rcode.REFUSED
    for arguments in (["-c", "CH", WWW], [WWW, "+opcode=2"]):
        assert resolve(server, *arguments).status in ("REFUSED", "NOTIMP")
    assert len(fake.asked) == before


def test_rfc1034_4_3_1_who_does_not_ask_for_recursion_gets_none(server: Discovery, fake: FakeUpstream) -> None:
    before = len(fake.asked)
    dug = dig(server, "+norecurse", WWW)
    assert dug.answer == []
    assert "rd" not in dug.flags
    assert len(fake.asked) == before


def test_edns_is_ours_and_not_the_upstreams(server: Discovery) -> None:
    dug = resolve(server, WWW, "+nsid", "+cookie", "+ednsopt=65001:beef")
    assert "(good)" in dug.text
    assert "NSID" in "\n".join(dug.edns or [])
    assert "65001" not in dug.text.partition("Got answer")[2]
    assert resolve(server, WWW, "+noedns").edns is None


def test_names_over_https_are_forwarded_too(server: Discovery) -> None:
    query = dns.message.make_query(WWW, "A", id=0)
    text = base64.urlsafe_b64encode(query.to_wire()).decode().rstrip("=")
    with urllib.request.urlopen(f"{server.http}/dns-query?dns={text}", timeout=LIMIT) as response:
        message = dns.message.from_wire(response.read())
        assert response.headers["Cache-Control"] == "max-age=300"
    assert [str(record) for record in message.answer[0]] == ["192.0.2.1"]
    assert message.flags & dns.flags.RA


def test_a_service_of_host_names_alone_is_followed_for_who_is_served_and_asks_for_recursion(server: Discovery) -> None:
    """Whoever asked before: the alias alone, which others get, is not kept for them."""
    for host in ("www.example.com", "web.example.com"):
        put = {"name": "away", "ip": host, "port": 443, "weight": 0 if host < "www" else 100}
        assert server.request("PUT", "/instances", put).status == 201
    alias = ["CNAME www.example.com."]
    for options, answer in [
        (["-b", "127.0.0.2", "+recurse"], alias),
        (["+norecurse"], alias),
        (["+recurse"], [*alias, "A 192.0.2.1"]),
        (["-b", "127.0.0.2", "+recurse"], alias),
        (["-b", "127.0.0.3", "+recurse"], [*alias, "A 192.0.2.1"]),
    ]:
        dug = dig(server, *options, "away.svc.local")
        assert [f"{record.type} {record.rdata}" for record in dug.answer] == answer
    assert resolve(server, "_away._tcp.svc.local", "SRV").rdata == {
        "10 0 443 web.example.com.",
        "10 100 443 www.example.com.",
    }


def test_an_alias_in_our_zone_is_followed_to_the_outside_for_who_asked_us_to_recurse(
    fake: FakeUpstream, tmp_path: Path
) -> None:
    """A stub resolver follows nothing itself (RFC 1034 §5.3.1): half a chain is no answer for it."""
    (tmp_path / "svc.local.zone").write_text(
        "$TTL 60\n@ IN SOA ns hostmaster 0 60 10 604800 2\n@ IN NS ns\nns IN A 127.0.0.1\naway IN CNAME www.example.com.\n"
    )
    with forwarding([fake], ZONES_DIR=str(tmp_path)) as server:
        (tmp_path / "example.net.zone").write_text(
            "$TTL 60\n@ IN SOA ns hostmaster 0 60 10 604800 2\n@ IN NS ns\nns IN A 127.0.0.1\nin IN CNAME ns.svc.local.\n"
            "gone IN CNAME none.svc.local.\n"
        )
        server.process.send_signal(signal.SIGHUP)
        until(lambda: dig(server, "ns.example.net").rdata == {"127.0.0.1"})
        before = len(fake.asked)
        dug = resolve(server, "in.example.net")
        assert [f"{record.type} {record.rdata}" for record in dug.answer] == ["CNAME ns.svc.local.", "A 127.0.0.1"]
        assert (dug := dig(server, "+recurse", "gone.example.net")).status == "NXDOMAIN"
        assert [f"{record.type} {record.rdata}" for record in dug.answer] == ["CNAME none.svc.local."]
        assert dig(server, "+recurse", "gone.example.net", "AAAA").status == "NXDOMAIN"
        assert len(dig(server, "+recurse", "in.example.net", "AAAA").answer) == 1
        assert len(fake.asked) == before, "what is ours is asked of nobody else"
        dug = resolve(server, "away.svc.local")
        assert [f"{record.type} {record.rdata}" for record in dug.answer] == ["CNAME www.example.com.", "A 192.0.2.1"]
