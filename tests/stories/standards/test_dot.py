"""DNS over TLS (RFC 7858) by kdig, openssl and Python's ssl: the certificate verified, connections used again, answers padded."""

from __future__ import annotations

import re
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import dns.edns
import dns.message
import dns.query
import pytest

from tests.stories.process import LIMIT
from tests.stories.standards.clients import failing_start, kdig, rcode, rdata, run
from tests.stories.standards.memory import descriptors
from tests.stories.standards.secure import Secure, make_certificate, running_secure
from tests.stories.standards.streams import connected

SHOP = "shop.svc.local"
# RFC 8467 §4.1.
BLOCK = 468


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    with running_secure(
        tmp_path_factory.mktemp("tls"), HEARTBEAT_TIMEOUT_SECONDS=3600, MAX_INSTANCES_PER_SERVICE=60
    ) as one:
        one.register("shop", "10.0.0.1")
        for number in range(60):
            one.register("crowd", f"10.1.0.{number}", 8000 + number)
        yield one
        assert "Traceback" not in "\n".join(one.server.log)


def by_tls(secure: Secure, *arguments: str) -> str:
    return kdig(
        secure.server, f"+tls-ca={secure.pair.cert}", "+tls-hostname=localhost", *arguments, port=secure.dot_port
    )


def test_kdig_verifies_the_certificate_and_gets_the_answer(secure: Secure) -> None:
    printed = by_tls(secure, SHOP)
    assert rdata(printed) == {"10.0.0.1"}
    assert ";; TLS session" in printed
    assert rcode(by_tls(secure, "nobody.svc.local")) == "NXDOMAIN"
    stranger = run("kdig", "@127.0.0.1", "-p", str(secure.dot_port), "+tls-ca", "+retry=0", SHOP, status=None)
    assert "10.0.0.1" not in stranger.stdout, "the certificate is nobody's that the system knows"


def test_kdig_asks_several_times_on_one_connection(secure: Secure) -> None:
    printed = by_tls(secure, "+keepopen", SHOP, "nobody.svc.local", "_shop._tcp.svc.local", "SRV")
    assert re.findall(r"status: (\w+)", printed) == ["NOERROR", "NXDOMAIN", "NOERROR"]
    assert len(set(re.findall(r"@(\d+)\(T(?:LS|CP)\)", printed))) == 1


def test_queries_are_pipelined_and_each_is_answered(secure: Secure) -> None:
    queries = [
        dns.message.make_query(SHOP if number % 2 else "nobody.svc.local", "A", id=number) for number in range(200)
    ]
    with secure.connect() as sock:
        sock.sendall(b"".join(struct.pack("!H", len(wire)) + wire for wire in (query.to_wire() for query in queries)))
        replies = {reply.id: reply for reply in (dns.query.receive_tcp(sock, expiration())[0] for _ in queries)}
    assert set(replies) == {query.id for query in queries}
    assert all(query.is_response(replies[query.id]) for query in queries)


def expiration() -> float:
    return time.time() + LIMIT


@pytest.mark.parametrize(
    ("name", "rtype"), [(SHOP, "A"), (SHOP, "SRV"), ("nobody.svc.local", "A"), ("crowd.svc.local", "SRV")]
)
def test_rfc8467_4_1_padded_to_blocks_of_468_for_who_pads(secure: Secure, name: str, rtype: str) -> None:
    query = dns.message.make_query(name, rtype, use_edns=0, payload=1232, pad=128)
    assert len(query.to_wire()) % 128 == 0
    reply = dns.query.tls(
        query, "127.0.0.1", LIMIT, secure.dot_port, ssl_context=secure.context(), server_hostname="localhost"
    )
    assert wire_size(reply) % BLOCK == 0
    bare = dns.message.make_query(name, rtype, use_edns=0)
    reply = dns.query.tls(
        bare, "127.0.0.1", LIMIT, secure.dot_port, ssl_context=secure.context(), server_hostname="localhost"
    )
    assert not [option for option in reply.options if option.otype == dns.edns.OptionType.PADDING], "RFC 7830 §3"


def test_rfc7830_6_without_encryption_padding_hides_nothing(secure: Secure) -> None:
    query = dns.message.make_query(SHOP, "A", use_edns=0, pad=128)
    for reply in (
        dns.query.udp(query, "127.0.0.1", LIMIT, secure.server.dns_port),
        dns.query.tcp(query, "127.0.0.1", LIMIT, secure.server.dns_port),
    ):
        assert not [option for option in reply.options if option.otype == dns.edns.OptionType.PADDING]


def wire_size(reply: dns.message.Message) -> int:
    assert reply.wire is not None
    return len(reply.wire)


@pytest.mark.parametrize(
    ("version", "accepted"), [("-tls1_1", False), ("-tls1", False), ("-tls1_2", True), ("-tls1_3", True)]
)
@pytest.mark.parametrize("port", ["dot_port", "https_port"])
def test_rfc8996_old_versions_of_tls_are_refused(secure: Secure, port: str, version: str, accepted: bool) -> None:
    done = run(
        "openssl", "s_client", "-connect", f"127.0.0.1:{getattr(secure, port)}", version, "-cipher", "ALL:@SECLEVEL=0",
        "-CAfile", str(secure.pair.cert), "-verify_return_error", status=None,
    )  # fmt: skip
    assert (done.returncode == 0) == accepted, done.stdout + done.stderr
    assert ("BEGIN CERTIFICATE" in done.stdout) == accepted


def test_plain_dns_on_the_tls_port_gets_no_dns_answer_and_hurts_nobody(secure: Secure) -> None:
    query = dns.message.make_query(SHOP, "A")
    with pytest.raises((EOFError, ConnectionError, dns.message.ShortHeader, dns.message.TrailingJunk)):
        dns.query.tcp(query, "127.0.0.1", LIMIT, secure.dot_port)
    assert rdata(by_tls(secure, SHOP)) == {"10.0.0.1"}
    with secure.connect() as sock:
        assert sock.version() == "TLSv1.3"


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"DOT_PORT": "0"}, "DOT_PORT"),
        ({"TLS_CERT": "CERT"}, "TLS_KEY"),
        ({"TLS_KEY": "KEY"}, "TLS_CERT"),
        ({"DOT_PORT": "0", "TLS_CERT": "/nowhere.pem", "TLS_KEY": "KEY"}, "/nowhere.pem"),
        ({"DOT_PORT": "0", "TLS_CERT": "KEY", "TLS_KEY": "KEY"}, "TLS_CERT"),
        ({"DOT_PORT": "70000", "TLS_CERT": "CERT", "TLS_KEY": "KEY"}, "DOT_PORT"),
    ],
    ids=lambda value: str(value),
)
def test_a_setting_that_cannot_work_is_a_clear_error_at_start(
    tmp_path: Path, settings: dict[str, str], named: str
) -> None:
    pair = make_certificate(tmp_path)
    files = {"CERT": str(pair.cert), "KEY": str(pair.key)}
    assert named in failing_start(**{name: files.get(value, value) for name, value in settings.items()})


def test_both_kinds_of_connections_at_their_limit_leave_descriptors_for_http(tmp_path: Path) -> None:
    with descriptors(1024), running_secure(tmp_path, HEARTBEAT_TIMEOUT_SECONDS=3600) as one, ExitStack() as stack:
        one.register("shop", "10.0.0.1")
        for port in (one.server.dns_port, one.dot_port):
            for _ in range(256):
                stack.enter_context(connected(port))
        with descriptors(4096):
            for port in (one.server.dns_port, one.dot_port):
                for _ in range(256):
                    stack.enter_context(connected(port))
            one.register("shop", "10.0.0.2")
            assert len(one.server.ask(SHOP).answer[0]) == 2
            assert rdata(by_tls(one, SHOP)) == {"10.0.0.1", "10.0.0.2"}
