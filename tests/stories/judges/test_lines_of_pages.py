"""The lines by which a page sends `consul.` here for some hosts first, as they stand there but for the address."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stories.judges.daemon import dig_through
from tests.stories.judges.dnsmasq import dnsmasq
from tests.stories.judges.unbound import unbound
from tests.stories.process import ROOT, Discovery, running

PAGE = ROOT / "discovery" / "docs" / "coming-from-consul.md"
WEB = {"Name": "web", "ID": "web-1", "Address": "10.0.0.1", "Port": 8080, "Tags": ["v1"]}


@pytest.fixture(scope="module")
def server() -> Iterator[Discovery]:
    with running(CONSUL="true") as server:
        assert server.request("PUT", "/v1/agent/service/register", WEB).status == 200
        yield server


def lines(heading: str, here: str) -> str:
    """`here`: our address as that program writes it, in place of the page's."""
    found = re.search(rf"^{heading}:\n\n```\n(.*?)```", PAGE.read_text(), re.M | re.S)
    assert found
    text, count = re.subn(r"10\.0\.0\.53.8600", here, found[1])
    assert count == 1
    return text


@pytest.mark.parametrize("name", ["dnsmasq", "unbound"])
def test_the_page_sends_consuls_names_here(server: Discovery, name: str, tmp_path: Path) -> None:
    here = f"127.0.0.1{'#' if name == 'dnsmasq' else '@'}{server.dns_port}"
    lines_ = lines(name, here)
    started = (
        dnsmasq(server.dns_port, tmp_path, lines_)
        if name == "dnsmasq"
        else unbound(server.dns_port, tmp_path, zone="consul", lines=lines_)
    )
    with started as port:
        for question in ("web.service.consul", "v1.web.service.consul"):
            assert dig_through(server, port, question, "A").rdata == {"10.0.0.1"}
        assert dig_through(server, port, "_web._tcp.service.consul", "SRV").rdata == {
            "1 1 8080 0a000001.addr.dc1.consul."
        }
        assert dig_through(server, port, "0a000001.addr.dc1.consul", "A").rdata == {"10.0.0.1"}
        assert dig_through(server, port, "nobody.service.consul", "A").status == "NXDOMAIN"
        assert dig_through(server, port, "example.com", "A").status == "REFUSED"
