"""The whole process asked by dig, kdig (over TLS) and dnspython: address × key, and what comes is the zone."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import dns.message
import dns.query
import dns.rcode
import dns.xfr
import dns.zone
import pytest

from tests.programs import program
from tests.stories.process import LIMIT, Discovery, running, until
from tests.stories.standards.secure import Secure, running_secure
from tests.stories.transfer import keys

INSIDE, OUTSIDE = "127.0.0.1", "127.0.0.2"
OTHER_SECRET = "YW5vdGhlciBzZWNyZXQgb2YgdGhpcnR5LXR3byBvY3Q="  # noqa: S105  no secret: it is the wrong one
WRONG = f"{keys.ALGORITHM}:{keys.NAME}:{OTHER_SECRET}"
UNKNOWN = f"{keys.ALGORITHM}:nobody:{keys.SECRET}"


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    folder = tmp_path_factory.mktemp("transfer")
    with running_secure(folder, **keys.settings(folder, allow="127.0.0.1")) as secure:
        secure.register("web", "10.0.0.1", 80, ports={"metrics": 9100})
        secure.register("web", "2001:db8::1", 80)
        yield secure
        assert "Traceback" not in "\n".join(secure.server.log)
        assert keys.SECRET not in "\n".join(secure.server.log)


@pytest.fixture
def server(secure: Secure) -> Discovery:
    return secure.server


def asked(server: Discovery, *arguments: str) -> str:
    """What dig prints, whether it fails or not."""
    command = [program("dig"), "-r", "@127.0.0.1", "-p", str(server.dns_port), "+tries=1", "+time=50", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False).stdout


@pytest.mark.parametrize("rtype", ["AXFR", "IXFR=1"])
def test_dig_gets_the_zone_with_address_and_key(server: Discovery, rtype: str) -> None:
    text = asked(server, "-b", INSIDE, "svc.local", rtype, "-y", keys.FOR_DIG)
    lines = [line.split(None, 4) for line in text.splitlines() if line and not line.startswith(";")]
    records = [(name, rtype, rdata) for name, _, _, rtype, rdata in lines if rtype != "TSIG"]
    assert records[0] == records[-1]
    assert records[0][1] == "SOA"
    assert ("web.svc.local.", "A", "10.0.0.1") in records
    assert ("ip-2001-db8--1-p80.web.svc.local.", "AAAA", "2001:db8::1") in records
    assert ("_metrics._tcp.web.svc.local.", "SRV", "10 100 9100 ip-10-0-0-1-p80.web.svc.local.") in records
    assert "Couldn't verify signature" not in text
    assert "NOERROR" in next(line for line in text.splitlines() if "TSIG" in line)


def test_dig_that_is_up_to_date_gets_the_soa(server: Discovery) -> None:
    serial = str(server.ask("svc.local", "SOA").answer[0][0].serial)
    text = asked(server, "-b", INSIDE, "svc.local", f"IXFR={serial}", "-y", keys.FOR_DIG)
    assert "XFR size: 1 records" in text


@pytest.mark.parametrize("rtype", ["AXFR", "IXFR=1"])
@pytest.mark.parametrize(
    ("client", "key", "said"),
    [
        (INSIDE, None, []),
        (OUTSIDE, None, []),
        (OUTSIDE, keys.FOR_DIG, []),
        (INSIDE, WRONG, ["BADSIG"]),
        (INSIDE, UNKNOWN, ["BADKEY"]),
        (OUTSIDE, WRONG, ["BADSIG"]),
    ],
)
def test_dig_gets_nothing_without_both(
    server: Discovery, rtype: str, client: str, key: str | None, said: list[str]
) -> None:
    text = asked(server, "-b", client, "svc.local", rtype, *(["-y", key] if key else []))
    assert "; Transfer failed." in text
    assert all(word in text for word in said)
    assert "10.0.0.1" not in text


def test_a_refusal_says_which_of_the_two_is_missing(server: Discovery) -> None:
    query = dns.message.make_query("svc.local", "AXFR", use_edns=0)
    for client, texts in ((INSIDE, ["signed with a TSIG key"]), (OUTSIDE, ["TSIG key", "127.0.0.2 is in no network"])):
        reply = dns.query.tcp(query, "127.0.0.1", LIMIT, server.dns_port, source=client)
        assert reply.rcode() == dns.rcode.REFUSED
        assert all(text in str(reply.options[0]) for text in ["18", *texts])


def test_over_tls(secure: Secure) -> None:
    command = [
        program("kdig"), "@127.0.0.1", "-p", str(secure.dot_port), "+tls", "svc.local", "AXFR", "-y", keys.FOR_DIG,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=True)
    assert "10.0.0.1" in done.stdout
    assert done.stdout.count("SOA\tns.svc.local.") == 2


def test_dnspython_makes_a_zone_of_it(server: Discovery) -> None:
    zone = dns.zone.Zone("svc.local", relativize=False)
    key = keys.for_dnspython()
    query = dns.message.make_query("svc.local", "AXFR")
    query.use_tsig(key)
    dns.query.inbound_xfr("127.0.0.1", zone, query, server.dns_port, LIMIT, LIMIT)
    zone.check_origin()
    assert zone.find_rdataset("web.svc.local.", "A")[0].address == "10.0.0.1"
    serial = zone.get_soa().serial
    server_serial = server.ask("svc.local", "SOA").answer[0][0].serial
    assert serial == server_serial


def test_dnspython_falls_back_from_ixfr_over_udp_to_tcp(secure: Secure) -> None:
    port = secure.server.dns_port
    zone = dns.zone.Zone("svc.local", relativize=False)
    for name in ("early", "late"):
        secure.register(name, "10.0.0.7")
        query, serial = dns.xfr.make_query(zone, keyring=keys.for_dnspython())
        assert (serial is None) == (name == "early"), "the second time it is IXFR"
        mode = dns.query.UDPMode.TRY_FIRST
        dns.query.inbound_xfr("127.0.0.1", zone, query, port, LIMIT, LIMIT, udp_mode=mode)
        assert zone.find_rdataset(f"{name}.svc.local.", "A")[0].address == "10.0.0.7"
    assert zone.get_soa().serial == secure.server.ask("svc.local", "SOA").answer[0][0].serial


def test_keys_are_read_again_on_sighup(tmp_path: Path) -> None:
    with running(**keys.settings(tmp_path)) as server:
        assert "web" not in asked(server, "svc.local", "AXFR", "-y", UNKNOWN)
        (tmp_path / "keys.conf").write_text(keys.BIND.replace(keys.NAME, "nobody"))
        server.process.send_signal(signal.SIGHUP)
        until(lambda: "XFR size" in asked(server, "svc.local", "AXFR", "-y", UNKNOWN))
        assert "BADKEY" in asked(server, "svc.local", "AXFR", "-y", keys.FOR_DIG)


def test_without_keys_it_is_off() -> None:
    with running() as server:
        query = dns.message.make_query("svc.local", "AXFR", use_edns=0)
        reply = dns.query.tcp(query, "127.0.0.1", LIMIT, server.dns_port)
        assert reply.rcode() == dns.rcode.REFUSED
        assert "not enabled" in str(reply.options[0])
