"""The lines that make a resolver ask the registry for its zones. Ready to paste; nothing but comments besides."""

from __future__ import annotations

from ipaddress import ip_address

from discovery.core.address import authority
from discovery.dns.zones import zonefile
from discovery.settings import Settings
from discovery.system.env import SettingsError

# Of each resolver: what stands once, and what stands for each zone.
LINES = {
    "systemd-resolved": (
        "# /etc/systemd/resolved.conf.d/discovery.conf, then: systemctl restart systemd-resolved   (version 246 or newer)\n"
        "[Resolve]\nDNS={server}\nDomains={domains}\nDNSSEC=no\n",
        "",
    ),
    "dnsmasq": (
        "# /etc/dnsmasq.d/discovery.conf, then: systemctl restart dnsmasq\n",
        "server=/{zone}/{ip}#{port}\nrebind-domain-ok=/{zone}/\n",
    ),
    "unbound": (
        "# /etc/unbound/unbound.conf.d/discovery.conf, then: systemctl restart unbound\n",
        'server:\n{loopback}  domain-insecure: "{zone}."\n  private-domain: "{zone}."\n  local-zone: "{zone}." transparent\n'
        'stub-zone:\n  name: "{zone}."\n  stub-addr: {ip}@{port}\n',
    ),
    "bind": (
        "# named.conf.local, then: rndc reconfig. Where named validates (it does by default), put this into options {{ }}:\n"
        "#   validate-except {{ {quoted} }};\n",
        'zone "{zone}" {{ type forward; forward only; forwarders {{ {ip} port {port}; }}; }};\n',
    ),
    "coredns": (
        "# Corefile, then: kill -USR1 $(pidof coredns), or wait for the plugin reload\n",
        "{zone}:53 {{\n    forward . {server}\n    cache 5\n}}\n",
    ),
}


def lines(resolver: str, settings: Settings) -> str:
    """`resolver`: one of LINES. SettingsError where nobody can know the port."""
    ip, port = reachable(settings.dns_addresses[0]), settings.dns_port
    files = [file.name.removesuffix(zonefile.SUFFIX).lower() for file in zonefile.files(settings.zones_dir)]
    zones = tuple(dict.fromkeys((*settings.dns_domain, *files)))
    if port == 0:
        raise SettingsError(
            "DNS_PORT: is 0, a free port that is another one at each start; resolvers need to be told one"
        )
    once, each = LINES[resolver]
    values = {
        "ip": ip,
        "port": port,
        "server": authority(ip, port),
        "domains": " ".join(f"~{zone}" for zone in zones),
        "quoted": " ".join(f'"{zone}";' for zone in zones),
        "loopback": "  do-not-query-localhost: no\n" if ip_address(ip).is_loopback else "",
    }
    return once.format(**values) + "".join(each.format(zone=zone, **values) for zone in zones)


def reachable(ip: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(ip, ip)  # noqa: S104 - it is not listened on
