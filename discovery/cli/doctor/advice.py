"""The lines that make a resolver ask the registry for its zones. Ready to paste; nothing but comments besides."""

from __future__ import annotations

from discovery.settings import Settings
from discovery.system.env import SettingsError
from discovery.system.sockets import authority


def lines(resolver: str, settings: Settings) -> str:
    """`resolver`: one of LINES. SettingsError where nobody can know the port."""
    if settings.dns_port == 0:
        raise SettingsError(
            "DNS_PORT: is 0, a free port that is another one at each start; resolvers need to be told one"
        )
    ip, port = reachable(settings.dns_addresses[0]), settings.dns_port
    return LINES[resolver](ip, port, settings.dns_domain)


def reachable(ip: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(ip, ip)  # noqa: S104 - it is not listened on


def _systemd_resolved(ip: str, port: int, zones: tuple[str, ...]) -> str:
    return f"""\
# /etc/systemd/resolved.conf.d/discovery.conf, then: systemctl restart systemd-resolved   (version 246 or newer)
[Resolve]
DNS={authority(ip, port)}
Domains={" ".join(f"~{zone}" for zone in zones)}
DNSSEC=no
"""


def _dnsmasq(ip: str, port: int, zones: tuple[str, ...]) -> str:
    each = [f"server=/{zone}/{ip}#{port}\nrebind-domain-ok=/{zone}/" for zone in zones]
    return "\n".join(["# /etc/dnsmasq.d/discovery.conf, then: systemctl restart dnsmasq", *each, ""])


def _unbound(ip: str, port: int, zones: tuple[str, ...]) -> str:
    loopback = ["  do-not-query-localhost: no"] if ip in ("127.0.0.1", "::1") else []
    own = [
        f'  domain-insecure: "{zone}."\n  private-domain: "{zone}."\n  local-zone: "{zone}." transparent'
        for zone in zones
    ]
    stubs = [f'stub-zone:\n  name: "{zone}."\n  stub-addr: {ip}@{port}' for zone in zones]
    head = "# /etc/unbound/unbound.conf.d/discovery.conf, then: systemctl restart unbound"
    return "\n".join([head, "server:", *loopback, *own, *stubs, ""])


def _bind(ip: str, port: int, zones: tuple[str, ...]) -> str:
    each = [f'zone "{zone}" {{ type forward; forward only; forwarders {{ {ip} port {port}; }}; }};' for zone in zones]
    head = "# named.conf.local, then: rndc reconfig. Where named validates (it does by default), put this into options { }:"
    validate = f"#   validate-except {{ {' '.join(f'{chr(34)}{zone}{chr(34)};' for zone in zones)} }};"
    return "\n".join([head, validate, *each, ""])


def _coredns(ip: str, port: int, zones: tuple[str, ...]) -> str:
    each = [f"{zone}:53 {{\n    forward . {authority(ip, port)}\n    cache 5\n}}" for zone in zones]
    return "\n".join(["# Corefile, then: kill -USR1 $(pidof coredns), or wait for the plugin reload", *each, ""])


LINES = {
    "systemd-resolved": _systemd_resolved,
    "dnsmasq": _dnsmasq,
    "unbound": _unbound,
    "bind": _bind,
    "coredns": _coredns,
}
