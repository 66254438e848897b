"""A few questions over DNS, as a client without any other means asks them."""

from __future__ import annotations

import ipaddress
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import dns.edns
import dns.exception
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype

from discovery.cli.errors import Failed
from discovery.client.access import Servers
from discovery.system.env import Endpoint, SettingsError, endpoint

PORT = 8600
# Seconds for each question, over TCP too where the answer was cut.
TIMEOUT = 3.0

_read = endpoint("name server", "asked", PORT)


class Answer(NamedTuple):
    """`explanations`: Extended DNS Errors' texts (RFC 8914)."""

    rcode: str
    records: list[dict[str, Any]]
    explanations: list[str]


def server(given: str | None) -> Endpoint:
    """`IP`, `IP:PORT`; None: where DISCOVERY_URL is, port 8600. SettingsError."""
    if given is None:
        host = urlsplit(next(iter(Servers()))).hostname or ""
        try:
            return Endpoint(str(ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)), PORT)
        except ValueError:
            raise SettingsError(f"--dns-server: name its address; {host}, of DISCOVERY_URL, is no IP address") from None
    try:
        found = _read(given)
    except ValueError as error:
        raise SettingsError(f"--dns-server: {error}") from None
    assert isinstance(found, Endpoint)
    return found


def ask(server: Endpoint, name: str, rtype: str) -> Answer:
    """Failed when nobody answers, or not in DNS."""
    try:
        query = dns.message.make_query(name, rtype, use_edns=0, payload=1232)
    except dns.exception.DNSException as error:
        raise Failed(f"{name} is no name: {error}") from None
    try:
        reply, _ = dns.query.udp_with_fallback(query, server.ip, TIMEOUT, server.port)
    except dns.exception.Timeout:
        raise Failed(f"{server} gives no answer over DNS within {TIMEOUT:g} s") from None
    except (OSError, dns.exception.DNSException) as error:
        raise Failed(f"{server} gives no answer over DNS: {error}") from None
    records = [
        {"name": str(rrset.name), "ttl": rrset.ttl, "type": dns.rdatatype.to_text(rrset.rdtype), "data": str(rdata)}
        for rrset in reply.answer
        for rdata in rrset
    ]
    explanations = [
        str(option.text) for option in reply.options if isinstance(option, dns.edns.EDEOption) and option.text
    ]
    return Answer(dns.rcode.to_text(reply.rcode()), records, explanations)
