"""What a name below a zone's origin means: which service, which of its instances, which of their ports.

    SERVICE                       every instance
    _SERVICE._tcp                 its instances with that protocol (RFC 2782), SRV only
    _PORTNAME._tcp.SERVICE        those with a port of that name, at that port, SRV only
    ip-10-0-0-1-p3001.SERVICE     one instance; the target of its SRV records
    p3001.SERVICE                 the instances at that port
    ZONE.zone.SERVICE             the instances in that locality
    TAG.SERVICE                   the instances with that tag

`_tcp`, `_udp`, `_tcp.SERVICE`, `_udp.SERVICE` and `zone.SERVICE` exist because names exist below them (RFC 8020). The
fixed forms come before tags: a tag that looks like one of them cannot be asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from discovery.core.instance import Instance
from discovery.core.name import fold
from discovery.dns.names import Name

_PORT_LABEL = re.compile(r"p([1-9][0-9]{0,4})")
_INSTANCE_LABEL = re.compile(r"ip-([0-9a-f-]+)-p([1-9][0-9]{0,4})")
_IPV4 = re.compile(r"[0-9]+-[0-9]+-[0-9]+-[0-9]+")

PROTOCOL_LABELS = (b"_tcp", b"_udp")
LOCALITY_LABEL = b"zone"

Match = Callable[[Instance], "int | None"]


class Selector(NamedTuple):
    """`match(instance)` is the port to offer, None when the instance is not meant.

    `service` None: no service's name, but a branch on the way to some. `match` None: such a branch within the service.
    """

    service: str | None
    match: Match | None
    srv_only: bool = False


def select(relative: Name) -> Selector | None:
    """None when no service could have such a name. `relative` is lower case, without the zone's origin."""
    try:
        labels = [part.decode("ascii") for part in relative]
    except UnicodeDecodeError:
        return None
    match labels:
        case ["_tcp" | "_udp"]:
            return Selector(None, None)
        case [service]:
            return Selector(service, _any)
        case ["_tcp" | "_udp" | "zone", service] if not service.startswith("_"):
            return Selector(service, None)
        case [under, "_tcp" | "_udp" as protocol] if under.startswith("_"):
            return Selector(under[1:], _with_protocol(protocol[1:]), srv_only=True)
        case [label, service]:
            return Selector(service, _by_label(label))
        case [under, "_tcp" | "_udp" as protocol, service] if under.startswith("_"):
            return Selector(service, _with_named_port(under[1:], protocol[1:]), srv_only=True)
        case [locality, "zone", service]:
            return Selector(service, _in_locality(locality))
        case _:
            return None


def service_below(relative: Name) -> str | None:
    """The service below which a name lies that `select` knows no meaning for."""
    return relative[-1].decode("ascii", "replace") if relative else None


def instance_label(ip: str, port: int) -> bytes:
    """The label of one instance; at most 48 octets."""
    return f"ip-{ip.replace('.', '-').replace(':', '-')}-p{port}".encode("ascii")


def _any(instance: Instance) -> int | None:
    return instance.spec.port


def _by_label(label: str) -> Match:
    if instance := _INSTANCE_LABEL.fullmatch(label):
        ip, port = instance.groups()
        return _at(ip.replace("-", "." if _IPV4.fullmatch(ip) else ":"), int(port))
    if port_label := _PORT_LABEL.fullmatch(label):
        return _with_port(int(port_label[1]))
    return _with_tag(label)


def _at(ip: str, port: int) -> Match:
    return lambda instance: port if (instance.spec.ip, instance.spec.port) == (ip, port) else None


def _with_port(port: int) -> Match:
    return lambda instance: port if instance.spec.port == port else None


def _with_tag(tag: str) -> Match:
    return lambda instance: instance.spec.port if tag in map(fold, instance.spec.tags) else None


def _with_protocol(protocol: str) -> Match:
    return lambda instance: instance.spec.port if instance.spec.protocol == protocol else None


def _in_locality(locality: str) -> Match:
    return lambda instance: instance.spec.port if fold(instance.spec.zone or "") == locality else None


def _with_named_port(name: str, protocol: str) -> Match:
    def match(instance: Instance) -> int | None:
        if instance.spec.protocol != protocol:
            return None
        return next((port for own, port in instance.spec.ports if fold(own) == name), None)

    return match
