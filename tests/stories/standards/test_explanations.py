"""Extended DNS Errors (RFC 8914) as dig prints them: why there is no answer, for people; to clients with EDNS only."""

from __future__ import annotations

import re

import pytest

from tests.programs import program
from tests.stories.dig import dig
from tests.stories.process import Discovery
from tests.stories.standards.clients import kdig

_NONE = r" is known, 0 of 4 healthy \(4 unhealthy\), the last since \d\d:\d\d:\d\dZ: its lease ran out: no heartbeat for 1 s"
# What is asked, its type, the rcode, and what the text must say.
ROWS: dict[str, tuple[str, str, str, str]] = {
    "none healthy": ("gone.svc.local", "A", "NOERROR", f"gone{_NONE}"),
    "none healthy, SRV": ("_gone._tcp.svc.local", "SRV", "NOERROR", rf"_gone\._tcp{_NONE}"),
    "a slip": ("shpo.svc.local", "A", "NXDOMAIN", r"no service shpo; did you mean shop\?"),
    "a slip, SRV": ("_admn._tcp.svc.local", "SRV", "NXDOMAIN", r"no service admn; did you mean admin\?"),
    "a slip, Consul": ("shp.service.consul", "A", "NXDOMAIN", r"no service shp; did you mean shop\?"),
    "unknown": ("completely-else.svc.local", "A", "NXDOMAIN", r"no service completely-else"),
    "not ours": ("www.example.com", "A", "REFUSED", r"www\.example\.com is not in a zone of this server"),
    "not registered": ("77.0.0.10.in-addr.arpa", "PTR", "REFUSED", r"not in a zone of this server"),
    "no IPv6": ("only4.svc.local", "AAAA", "NOERROR", r"only4 exists, no IPv6 instance"),
    "no IPv4": ("only6.svc.local", "A", "NOERROR", r"only6 exists, no IPv4 instance"),
    "no addresses at such a name": ("_shop._tcp.svc.local", "A", "NOERROR",
        r"shop exists, names of this form have only SRV, TXT, PTR, URI"),
    "no such type": ("shop.svc.local", "MX", "NOERROR", r"shop exists, names of this form have only A, AAAA, SRV, TXT, HTTPS, SVCB, URI"),
    "no such instance": ("red.shop.svc.local", "A", "NXDOMAIN", r"shop is known.*red"),
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS)
def test_dig_prints_why(shops: Discovery, row: str) -> None:
    name, rtype, rcode, text = ROWS[row]
    for transport in ("+notcp", "+tcp"):
        dug = dig(shops, name, rtype, transport)
        assert (dug.status, dug.answer) == (rcode, [])
        [line] = [line for line in dug.edns or [] if "EDE" in line]
        assert re.search(text, line), line
        assert dug.size <= 512, "short enough to fit beside everything else"


@pytest.mark.parametrize("row", ROWS)
def test_kdig_prints_why(shops: Discovery, row: str) -> None:
    program("kdig", at_least="3.4")
    name, rtype, _, text = ROWS[row]
    assert re.search(rf"EDE: \d+ \([^)]+\): '.*{text}", kdig(shops, name, rtype))


@pytest.mark.parametrize("row", ROWS)
def test_a_client_without_edns_gets_the_same_answer_without_the_text(shops: Discovery, row: str) -> None:
    name, rtype, rcode, _ = ROWS[row]
    dug = dig(shops, name, rtype, "+noedns")
    assert (dug.status, dug.edns, dug.answer) == (rcode, None, [])
    assert "EDE" not in dug.text


def test_rfc8914_4_21_refused_has_the_code_not_authoritative(shops: Discovery) -> None:
    assert "EDE: 20 (Not Authoritative)" in dig(shops, "www.example.com").text


@pytest.mark.parametrize("name", ["shop.svc.local", "_shop._tcp.svc.local", "svc.local"])
def test_a_good_answer_has_nothing_to_explain(shops: Discovery, name: str) -> None:
    assert "EDE" not in dig(shops, name, "SOA" if name == "svc.local" else "SRV").text


@pytest.mark.parametrize(
    "name", ["x" * 63, f"{'x' * 63}.{'y' * 63}", "\\007" * 60, "\\255\\254"], ids=["long", "two", "bell", "8bit"]
)
def test_the_text_is_whole_and_printable_whatever_the_name(shops: Discovery, name: str) -> None:
    dug = dig(shops, f"{name}.svc.local", "+bufsize=512")
    assert dug.status == "NXDOMAIN"
    assert "tc" not in dug.flags
    assert len(dug.authority) == 1
    for line in dug.edns or []:
        text = line.partition("): ")[2]
        assert text.isprintable(), line
