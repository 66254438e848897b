"""The whole process with the plugin: every way in obeys, and a bad rule is an error at start."""

from __future__ import annotations

import base64
import http.client
import socket
import struct
from collections.abc import Iterator

import dns.message
import dns.rcode
import pytest

from tests.stories.dig import dig
from tests.stories.process import LIMIT, running
from tests.stories.standards.clients import failing_start
from tests.stories.standards.secure import Secure, running_secure

ALLOWED, FORBIDDEN = "127.0.0.1", "127.0.0.2"
RULE = "svc.local=127.0.0.1|::1,legacy.local=127.0.0.0/8"
QUERY = dns.message.make_query("web.svc.local", "A", use_edns=0, id=0)


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    folder = tmp_path_factory.mktemp("allow")
    with running_secure(
        folder, DNS_ALLOW=RULE, DNS_DOMAIN="svc.local,legacy.local", HEARTBEAT_TIMEOUT_SECONDS=600
    ) as secure:
        secure.register("web", "10.0.0.1")
        yield secure
        assert "Traceback" not in "\n".join(secure.server.log)


@pytest.mark.parametrize("options", [[], ["+tcp"], ["+noedns"], ["+nocookie"]], ids=str)
@pytest.mark.parametrize("name", ["WEB.svc.LOCAL", "nobody.svc.local"])
def test_over_udp_and_tcp(secure: Secure, name: str, options: list[str]) -> None:
    known = not name.startswith("nobody")
    for _ in range(2):  # made, then from what is kept
        allowed = dig(secure.server, "-b", ALLOWED, name, *options)
        assert (allowed.status, allowed.rdata) == (("NOERROR", {"10.0.0.1"}) if known else ("NXDOMAIN", set()))
        forbidden = dig(secure.server, "-b", FORBIDDEN, name, *options)
        assert (forbidden.status, forbidden.rdata, forbidden.authority) == ("REFUSED", set(), [])
        if "+noedns" not in options:
            assert "EDE: 18 (Prohibited): (svc.local does not answer 127.0.0.2" in forbidden.text


def test_with_ipv6() -> None:
    with running(HOST="localhost", DNS_ALLOW="svc.local=::1") as server:
        for options in ([], ["+tcp"]):
            assert dig(server, "registry.svc.local", *options, at="::1").rdata == {"127.0.0.1"}
            assert dig(server, "registry.svc.local", *options).status == "REFUSED"


def test_the_other_zone_is_open_to_both(secure: Secure) -> None:
    for client in (ALLOWED, FORBIDDEN):
        assert dig(secure.server, "-b", client, "web.legacy.local").rdata == {"10.0.0.1"}
        assert dig(secure.server, "-b", client, "version.bind", "CH", "TXT").rdata


def test_reverse_names_tell_nothing_of_the_closed_zone(secure: Secure) -> None:
    assert dig(secure.server, "-b", ALLOWED, "-x", "10.0.0.1").rdata == {"ip-10-0-0-1-p3001.web.svc.local."}
    assert dig(secure.server, "-b", FORBIDDEN, "-x", "10.0.0.1").status == "REFUSED"


@pytest.mark.parametrize(("client", "rcode"), [(ALLOWED, dns.rcode.NOERROR), (FORBIDDEN, dns.rcode.REFUSED)])
def test_over_tls(secure: Secure, client: str, rcode: dns.rcode.Rcode) -> None:
    plain = socket.create_connection(("127.0.0.1", secure.dot_port), LIMIT, (client, 0))
    with secure.context().wrap_socket(plain, server_hostname="127.0.0.1") as sock:
        packet = QUERY.to_wire()
        sock.sendall(struct.pack("!H", len(packet)) + packet)
        reply = sock.makefile("rb")
        [size] = struct.unpack("!H", reply.read(2))
        assert dns.message.from_wire(reply.read(size)).rcode() == rcode


@pytest.mark.parametrize(("client", "rcode"), [(ALLOWED, dns.rcode.NOERROR), (FORBIDDEN, dns.rcode.REFUSED)])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_over_https(secure: Secure, client: str, rcode: dns.rcode.Rcode, method: str) -> None:
    connection = http.client.HTTPSConnection(
        "127.0.0.1", secure.https_port, context=secure.context(), timeout=LIMIT, source_address=(client, 0)
    )
    if method == "GET":
        text = base64.urlsafe_b64encode(QUERY.to_wire()).decode().rstrip("=")
        connection.request("GET", f"/dns-query?dns={text}")
    else:
        connection.request("POST", "/dns-query", QUERY.to_wire(), {"Content-Type": "application/dns-message"})
    message = dns.message.from_wire(connection.getresponse().read())
    connection.close()
    assert message.rcode() == rcode
    assert bool(message.answer) == (rcode == dns.rcode.NOERROR)


@pytest.mark.parametrize("rule", ["svc.locl=10.0.0.0/8", "10.0.0.1/8"])
def test_a_bad_rule_is_an_error_at_start(rule: str) -> None:
    said = failing_start(DNS_ALLOW=rule)
    [line] = [line for line in said.splitlines() if line.startswith("discovery: ")]
    assert line.startswith("discovery: DNS_ALLOW: ")
