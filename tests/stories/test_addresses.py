"""Where it listens: wildcard addresses, several addresses, both families; a UDP reply comes from the address that was asked."""

from __future__ import annotations

import json
import urllib.request

import dns.message
import dns.query
import pytest

from tests.stories.dig import dig
from tests.stories.process import LIMIT, Discovery, running

SERVICE = "user-service.svc.local"


def _http_status(url: str) -> int:
    with urllib.request.urlopen(f"{url}/health", timeout=LIMIT) as response:
        assert json.loads(response.read())["status"] == "healthy"
        return int(response.status)


def _printed(server: Discovery, *hosts: str) -> list[str]:
    return [
        *(f"listening http://{host}:{server.port}" for host in hosts),
        *(f"listening dns://{host}:{server.dns_port}" for host in hosts),
        "ready",
    ]


def test_on_the_ipv4_wildcard_a_reply_leaves_from_the_address_that_was_asked() -> None:
    with running(HOST="0.0.0.0", ALLOW_ANONYMOUS="true") as server:
        assert server.output == _printed(server, "0.0.0.0")
        server.register("user-service", "10.0.0.1")
        for at in ("127.0.0.1", "127.0.0.5", "127.1.2.3"):
            # dig and dnspython drop a reply from elsewhere, and so time out.
            for option in ("+notcp", "+tcp"):
                dug = dig(server, SERVICE, option, at=at)
                assert (dug.rdata, f"SERVER: {at}#" in dug.text) == ({"10.0.0.1"}, True)
            query = dns.message.make_query(SERVICE, "A")
            reply = dns.query.udp(query, at, port=server.dns_port, timeout=LIMIT, ignore_unexpected=False)
            assert len(reply.answer) == 1
            assert _http_status(f"http://{at}:{server.port}") == 200


def test_on_the_ipv6_wildcard_it_answers_too() -> None:
    with running(HOST="::", ALLOW_ANONYMOUS="true") as server:
        assert server.output == _printed(server, "[::]")
        assert dig(server, "registry.svc.local", "+notcp", at="::1").rdata == {"127.0.0.1"}
        assert dig(server, "registry.svc.local", "+tcp", at="::1").rdata == {"127.0.0.1"}
        assert _http_status(f"http://[::1]:{server.port}") == 200


def test_localhost_is_both_loopback_addresses() -> None:
    with running(HOST="localhost") as server:
        assert server.output == _printed(server, "127.0.0.1", "[::1]")
        server.register("user-service", "10.0.0.1")
        for at, url in (("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")):
            for option in ("+notcp", "+tcp"):
                assert dig(server, SERVICE, option, at=at).rdata == {"10.0.0.1"}
            assert _http_status(f"http://{url}:{server.port}") == 200


def test_dns_has_addresses_of_its_own_when_told_so() -> None:
    with running(DNS_HOST="127.0.0.2,127.0.0.3") as server:
        assert [line.rpartition(":")[0] for line in server.output[:-1]] == [
            "listening http://127.0.0.1",
            "listening dns://127.0.0.2",
            "listening dns://127.0.0.3",
        ]
        for at in ("127.0.0.2", "127.0.0.3"):
            assert dig(server, "registry.svc.local", at=at).rdata == {"127.0.0.1"}
        query = dns.message.make_query("registry.svc.local", "A")
        with pytest.raises(OSError, match="refused"):
            dns.query.tcp(query, "127.0.0.1", port=server.dns_port, timeout=LIMIT)
