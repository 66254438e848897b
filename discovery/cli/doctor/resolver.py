"""How this host looks names up, and whether it finds our zones: resolv.conf(5), nsswitch.conf(5), and the pitfalls of `.local`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from discovery.cli import dns_client
from discovery.cli.doctor import advice
from discovery.cli.doctor.finding import Finding, ok, warning
from discovery.cli.errors import Failed
from discovery.settings import Settings
from discovery.system.env import Endpoint
from discovery.system.holder import holder
from discovery.system.sockets import DATAGRAM

_RESOLV_CONF = Path("/etc/resolv.conf")
_NSSWITCH = Path("/etc/nsswitch.conf")
_STUB = "127.0.0.53"  # systemd-resolved's
_DNS = 53
# Of resolv.conf(5): more are not asked.
_MOST_SERVERS = 3
# Programs by the first letters of their names, as /proc has them.
_PROGRAMS = {
    "systemd-resolve": "systemd-resolved",
    "dnsmasq": "dnsmasq",
    "unbound": "unbound",
    "named": "bind",
    "coredns": "coredns",
}


def check(given: Settings) -> Iterator[Finding]:
    servers = name_servers(_text(_RESOLV_CONF))
    if not servers:
        yield warning(f"{_RESOLV_CONF} names no server: programs of this host look up nothing")
    for zone in given.dns_domain:
        yield _through(servers, zone)
        yield from local_pitfalls(zone, _text(_NSSWITCH), servers)


def _through(servers: Sequence[str], zone: str) -> Finding:
    for ip in servers:
        try:
            answer = dns_client.ask(Endpoint(ip, _DNS), zone, "SOA")
        except Failed:
            continue
        if any(record["type"] == "SOA" for record in answer.records):
            return ok(f"this host's name server {ip} knows {zone}")
    program = next((found for ip in servers if (found := _program(ip))), None)
    hint = (
        f"`discovery doctor --resolver {program}`"
        if program
        else f"`discovery doctor --resolver NAME` ({', '.join(advice.LINES)})"
    )
    return warning(f"programs of this host do not find {zone} ({_named(servers)}); {hint} prints the lines for it")


def _named(servers: Sequence[str]) -> str:
    return f"asked: {', '.join(servers)}" if servers else "nobody to ask"


def _program(ip: str) -> str | None:
    """Which resolver it is, where it runs on this host and can be seen."""
    if ip == _STUB:
        return "systemd-resolved"
    who = holder(ip, _DNS, DATAGRAM) or ""
    return next((name for comm, name in _PROGRAMS.items() if f"({comm}" in who), None)


def name_servers(text: str) -> list[str]:
    """Of resolv.conf(5): the ones that are asked."""
    return re.findall(r"^nameserver[ \t]+([0-9a-fA-F:.]+)", text, re.MULTILINE)[:_MOST_SERVERS]


def local_pitfalls(zone: str, nsswitch: str, servers: Sequence[str]) -> Iterator[Finding]:
    """`.local` belongs to multicast DNS (RFC 6762): some resolvers never ask DNS for it."""
    if not f".{zone}".endswith(".local"):
        return
    sources = hosts_sources(nsswitch)
    stops = next(
        (place for place, source in enumerate(sources) if source.startswith("mdns") and _ends(sources, place)), None
    )
    asks = next((place for place, source in enumerate(sources) if source in ("dns", "resolve")), len(sources))
    if stops is not None and stops < asks:
        yield warning(
            f"{_NSSWITCH} asks {sources[stops]} for names in .local first and may stop there: in its line `hosts:` put dns (or resolve) "
            f"before {sources[stops]}, or serve a zone that does not end in .local (DNS_DOMAIN)"
        )
    if _STUB in servers:
        yield warning(
            f"systemd-resolved asks DNS for {zone} only where that zone is named in Domains=; "
            "`discovery doctor --resolver systemd-resolved` prints the lines"
        )


def hosts_sources(text: str) -> list[str]:
    """The words of `hosts:` in nsswitch.conf(5), actions in brackets included; glibc's own where there is no such line."""
    line = re.search(r"^[ \t]*hosts:([^#\n]*)", text, re.MULTILINE)
    return re.findall(r"\[[^\]]*\]|[^ \t\[\]]+", line[1]) if line else ["files", "dns"]


def _ends(sources: Sequence[str], place: int) -> bool:
    action = sources[place + 1] if place + 1 < len(sources) else ""
    return re.search(r"\bNOTFOUND=return\b", action, re.IGNORECASE) is not None


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8", "replace")
    except OSError:
        return ""
