"""What a name below a zone's origin means: which service, which of its instances at which port, and which record types.

    SERVICE                            every instance
    TAG.SERVICE                        the instances with that tag
    p3001.SERVICE                      the instances at that port
    ZONE.zone.SERVICE                  the instances in that locality
    ip-10-0-0-1-p3001.SERVICE          one instance; the target of its SRV records. One without a port: ip-10-0-0-1
    _SERVICE._tcp                      the instances with that protocol (RFC 2782); PTR lists them (RFC 6763 §4)
    _PORTNAME._tcp.SERVICE             the instances with a port of that name, at that port
    _443._https.SERVICE                the instances that speak HTTPS at that port (RFC 9460 §9.1)
    _TAG._sub._SERVICE._tcp            the instances with that tag, for browsers (RFC 6763 §7.1)
    ip-10-0-0-1-p3001._SERVICE._tcp    one instance, for browsers

What stands between a name and the origin exists too, without records (RFC 8020). The fixed forms come before tags: a tag that
looks like one of them cannot be asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum, auto
from typing import NamedTuple

from discovery.core.instance import Instance
from discovery.core.name import is_one_of
from discovery.dns.message.names import Name

_PORT = re.compile(r"[1-9][0-9]{0,4}")
_INSTANCE_LABEL = re.compile(r"ip-([0-9a-f-]+?)(?:-p([1-9][0-9]{0,4}))?")
_IPV4 = re.compile(r"[0-9]+-[0-9]+-[0-9]+-[0-9]+")

PROTOCOL_LABELS = (b"_tcp", b"_udp")

# The port to offer of an instance; None when it is not meant.
Match = Callable[[Instance], "int | None"]


def every(instance: Instance) -> int | None:
    return instance.spec.port


class Form(Enum):
    """Which record types a name has; `live` has the table."""

    HOST = auto()
    NAMED_PORT = auto()
    HTTPS_PORT = auto()
    SERVICE_TYPE = auto()
    SUBTYPE = auto()
    BROWSED_INSTANCE = auto()
    BRANCH = auto()  # no records of its own


class Selector(NamedTuple):
    """`service` None: a branch above several services."""

    service: str | None
    form: Form
    match: Match = every


def select(relative: Name) -> Selector | None:
    """None when no service could have such a name. `relative` is lower case, without the zone's origin."""
    try:
        labels = [part.decode("ascii") for part in relative]
    except UnicodeDecodeError:
        return None
    return _below_protocol(labels) if labels[-1:] in (["_tcp"], ["_udp"]) else _below_service(labels)


def service_below(relative: Name) -> str | None:
    """The service below which a name lies that `select` knows no meaning for."""
    return relative[-1].decode("ascii", "replace") if relative else None


def instance_label(ip: str, port: int) -> bytes:
    """The label of one instance, which has an IP address; at most 48 octets."""
    label = f"ip-{ip}-p{port}" if port else f"ip-{ip}"
    return label.replace(".", "-").replace(":", "-").encode("ascii")


def is_instance(relative: Name) -> bool:
    """Whether the name means one instance, whose address is in it."""
    return len(relative) == 2 and bool(_INSTANCE_LABEL.fullmatch(relative[0].decode("ascii", "replace")))


def is_browsed(instance: Instance) -> bool:
    """Whether DNS-SD's browsers are shown it: an SRV record of its own name has its port, and the name has its address."""
    return instance.spec.port > 0 and not instance.spec.is_host_name


def _below_service(labels: list[str]) -> Selector | None:
    match labels:
        case [service]:
            return Selector(service, Form.HOST)
        case ["_tcp" | "_udp" | "_https" | "zone", service]:
            return Selector(service, Form.BRANCH)
        case [label, service]:
            return Selector(service, Form.HOST, _by_label(label))
        case [under, "_tcp" | "_udp" as protocol, service] if under.startswith("_"):
            return Selector(service, Form.NAMED_PORT, _with_named_port(under[1:], protocol[1:]))
        case [under, "_https", service] if under.startswith("_") and _PORT.fullmatch(under[1:]):
            return Selector(service, Form.HTTPS_PORT, _with_https_port(int(under[1:])))
        case [locality, "zone", service]:
            return Selector(service, Form.HOST, _in_locality(locality))
        case _:
            return None


def _below_protocol(labels: list[str]) -> Selector | None:
    protocol = labels[-1][1:]
    match labels[:-1]:
        case []:
            return Selector(None, Form.BRANCH)
        case [under] if under.startswith("_"):
            return Selector(under[1:], Form.SERVICE_TYPE, _with_protocol(protocol))
        case ["_sub", under] if under.startswith("_"):
            return Selector(under[1:], Form.BRANCH)
        case [tag, "_sub", under] if tag.startswith("_") and under.startswith("_"):
            return Selector(under[1:], Form.SUBTYPE, _both(_with_protocol(protocol), _with_tag(tag[1:])))
        case [label, under] if under.startswith("_") and _INSTANCE_LABEL.fullmatch(label):
            return Selector(under[1:], Form.BROWSED_INSTANCE, _both(_with_protocol(protocol), _by_label(label)))
        case _:
            return None


def _by_label(label: str) -> Match:
    if instance := _INSTANCE_LABEL.fullmatch(label):
        ip, port = instance.groups()
        return _at(ip.replace("-", "." if _IPV4.fullmatch(ip) else ":"), int(port or 0))
    if label.startswith("p") and _PORT.fullmatch(label[1:]):
        return _with_port(int(label[1:]))
    return _with_tag(label)


def _at(ip: str, port: int) -> Match:
    return lambda instance: port if (instance.spec.ip, instance.spec.port) == (ip, port) else None


def _with_port(port: int) -> Match:
    return lambda instance: port if instance.spec.port == port else None


def _with_tag(tag: str) -> Match:
    return lambda instance: instance.spec.port if is_one_of(tag, instance.spec.tags) else None


def _with_protocol(protocol: str) -> Match:
    return lambda instance: instance.spec.port if protocol in instance.spec.protocols else None


def _in_locality(locality: str) -> Match:
    return lambda instance: instance.spec.port if instance.spec.locality == locality else None


def _with_https_port(port: int) -> Match:
    return lambda instance: port if port in (instance.spec.port, *dict(instance.spec.ports).values()) else None


def _with_named_port(name: str, protocol: str) -> Match:
    def match(instance: Instance) -> int | None:
        if protocol not in instance.spec.protocols:
            return None
        return next((port for own, port in instance.spec.ports if own == name), None)

    return match


def _both(first: Match, second: Match) -> Match:
    return lambda instance: None if first(instance) is None else second(instance)
