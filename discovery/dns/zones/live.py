"""The types of records that instances give. Each is declared once, in LIVE_TYPES, beside the function that makes its records; kept answers,
candidates, explanations, metrics, `GET /dns/NAME` and the tests read the declaration.

Which instances a name means and for how long is `service_zone`'s business; here they become records, with the ranks by which a reply
orders them.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from socket import AF_INET, AF_INET6, inet_pton
from typing import NamedTuple
from urllib.parse import quote

import orjson

from discovery.core import metadata
from discovery.core.instance import Instance
from discovery.dns.message.names import Name, from_text, from_wire, to_text, to_wire
from discovery.dns.message.values import RR, Rank, Type, new_rr, type_name
from discovery.dns.zones.records import MAX_STRING, address_if_any, address_type
from discovery.dns.zones.selector import PROTOCOL_LABELS, Form, Match, instance_label
from discovery.store.service import Service


class Live(NamedTuple):
    """`owner`: the name asked, of that `form`. `instances`: those it means. `ttl` of every record, seconds."""

    form: Form
    origin: Name
    owner: Name
    service: Service
    instances: list[Instance]
    match: Match
    ttl: int

    @property
    def below(self) -> Name:
        """Where the instances' own names are, with their addresses."""
        return (self.service.key, *self.origin)


class Made(NamedTuple):
    """The records of an Answer, what goes with each, and their ranks. Without any, nothing of that type is there."""

    answer: tuple[RR, ...]
    companions: tuple[tuple[RR, ...], ...]
    ranks: Sequence[Rank]


_NONE = Made((), (), ())

# From what is asked, and the type.
Maker = Callable[[Live, int], Made]


class Others(Enum):
    """What becomes of instances outside the zone that a client is in, beyond those that it needs."""

    LEFT_OUT = auto()
    AFTER = auto()  # one priority further on
    ALIKE = auto()  # zones are of no account


@dataclass(frozen=True, slots=True)
class LiveType:
    """`forms`: of the names that have such records. `missing_text`: what a service lacks whose instances have none.

    `may_have`: False for an instance that surely has none; it parses nothing. None: all have one. `parses_metadata`: `make` does.
    `most`: instances in one answer, about as many as fit a TCP message, which takes 5 ms. `others`: what CLIENT_ZONES does with them.
    """

    type: int
    forms: tuple[Form, ...]
    make: Maker
    missing_text: str = ""
    may_have: Callable[[Instance], bool] | None = None
    parses_metadata: bool = False
    most: int = 700
    others: Others = Others.AFTER

    @property
    def name(self) -> str:
        return type_name(self.type)

    def candidate(self, instance: Instance) -> bool:
        """False where it surely has no such record."""
        return self.may_have is None or self.may_have(instance)


# -- A, AAAA


def _has_ipv4(instance: Instance) -> bool:
    return instance.spec.ip.rpartition(".")[
        2
    ].isdigit()  # as no host name ends, and no IPv6 address in canonical spelling


def _has_ipv6(instance: Instance) -> bool:
    return ":" in instance.spec.ip


def _addresses(live: Live, rtype: int) -> Made:
    family = AF_INET6 if rtype == Type.AAAA else AF_INET
    return _each_once(live, rtype, [inet_pton(family, one.spec.ip) for one in live.instances])


# -- CNAME


def _host_names(live: Live, rtype: int) -> Made:
    return _each_once(live, rtype, [to_wire(host_name(one)) for one in live.instances])


def host_name(instance: Instance) -> Name:
    """Of an instance whose address is one."""
    return from_text(instance.spec.ip)


def aliased(form: Form, instances: Sequence[Instance]) -> list[int]:
    """The indices of those that the name has an ALIAS for, in place of all other records; none: it has those.

    `instances`: what the name means, as they are offered, without suspects where others are left.
    """
    if form is not Form.HOST or not all(one.spec.is_host_name for one in instances):
        return []
    first = min(one.spec.priority for one in instances)
    return [index for index, one in enumerate(instances) if one.spec.priority == first]


def _each_once(live: Live, rtype: int, rdatas: list[bytes]) -> Made:
    """`rdatas`: of each instance. Those that share one add their weights."""
    ranks: Sequence[Rank] = [(one.spec.priority, one.weight) for one in live.instances]
    if len(set(rdatas)) < len(rdatas):
        shared: dict[bytes, Rank] = {}
        for rdata, (priority, weight) in zip(rdatas, ranks, strict=True):
            first, sum = shared.get(rdata, (priority, 0))
            shared[rdata] = min(first, priority), sum + weight
        rdatas, ranks = list(shared), list(shared.values())
    owner, ttl = live.owner, live.ttl
    return Made(tuple([new_rr((owner, rtype, ttl, rdata)) for rdata in rdatas]), (), ranks)


def _with_targets(live: Live, rtype: int, rdata: Callable[[Live, Instance, Rank, bytes], bytes | None]) -> Made:
    """A record of each instance that has `rdata`, which is given the target, as on the wire: its host name, or the name of its own that
    its address is beside of.
    """
    below, owner, ttl = live.below, live.owner, live.ttl
    on_the_wire = to_wire(below)
    made: list[tuple[RR, tuple[RR, ...], Rank]] = []
    for one in live.instances:
        spec = one.spec
        beside: tuple[RR, ...] = ()
        if (in_octets := address_if_any(spec.ip)) is None:
            target = to_wire(host_name(one))
        else:
            label = instance_label(spec.ip, spec.port)
            target = len(label).to_bytes() + label + on_the_wire
            beside = (new_rr(((label, *below), address_type(spec.ip), ttl, in_octets)),)
        rank = spec.priority, one.weight
        if (data := rdata(live, one, rank, target)) is not None:
            made.append((new_rr((owner, rtype, ttl, data)), beside, rank))
    return Made(*zip(*made, strict=True)) if made else _NONE


# -- SRV


def _srv(live: Live, rtype: int) -> Made:
    return _with_targets(live, rtype, _srv_rdata)


def _srv_rdata(live: Live, instance: Instance, rank: Rank, target: bytes) -> bytes | None:
    """RFC 2782. The target is never compressed, and no alias."""
    port = live.match(instance) or instance.spec.port
    return _SRV.pack(*rank, port) + target if port else None


_SRV = struct.Struct("!HHH")


# -- TXT

# RFC 6763 §6.2: a TXT record above 1,300 octets does not fit a packet and is a mistake.
MAX_TEXT = 1300
# Octets of `k=` with its length.
_SHORTEST_PAIR = 3


def _txt(live: Live, rtype: int) -> Made:
    browsed = live.form is Form.BROWSED_INSTANCE
    return _each_once(live, rtype, [_txt_rdata(one, browsed) for one in live.instances])


def _txt_rdata(instance: Instance, browsed: bool) -> bytes:
    """Metadata as `key=value` strings (RFC 6763 §6.3–6.5), a value that is no string as JSON.

    Left out: keys that are no printable ASCII or contain `=`, pairs over 255 octets, and what exceeds MAX_TEXT in all. HTTP has the
    whole. `browsed`: for DNS-SD browsers, with the version of the format first (§6.7).
    """
    rdata = b"\x09txtvers=1" if browsed else b""
    for key, value in metadata.unpack(instance.spec.metadata).items():
        if len(rdata) + _SHORTEST_PAIR > MAX_TEXT:
            break
        pair = _pair(key, value)
        if pair and len(rdata) + 1 + len(pair) <= MAX_TEXT:
            rdata += len(pair).to_bytes(1, "big") + pair
    return rdata or b"\0"  # RFC 6763 §6.1: no strings at all is spelt as one empty string


def _pair(key: str, value: object) -> bytes | None:
    if not key or not key.isascii() or not key.isprintable() or "=" in key:
        return None
    text = value.encode() if isinstance(value, str) else orjson.dumps(value)
    pair = key.encode("ascii") + b"=" + text
    return pair if len(pair) <= MAX_STRING else None


# -- PTR


def _pointers(live: Live, rtype: int) -> Made:
    """To each instance that `is_browsed`; SRV, TXT and address beside it, as RFC 6763 §12.1 wants them."""
    services = _with_targets(live, Type.SRV, _srv_rdata)
    asked = live.owner[: len(live.owner) - len(live.origin)]
    protocol = next(label for label in reversed(asked) if label in PROTOCOL_LABELS)
    pointers, companions, ranks = [], [], []
    with_port = [one for one in live.instances if one.spec.port]
    for instance, srv, beside, rank in zip(with_port, *services, strict=True):
        if not beside:  # a host name
            continue
        name: Name = (beside[0].name[0], b"_" + live.service.key, protocol, *live.origin)
        pointers.append(RR(live.owner, rtype, live.ttl, to_wire(name)))
        txt = RR(name, Type.TXT, live.ttl, _txt_rdata(instance, browsed=True))
        companions.append((srv._replace(name=name), txt, *beside))
        ranks.append(rank)
    return Made(tuple(pointers), tuple(companions), tuple(ranks))


# -- SVCB, HTTPS

_SCHEMES = {Type.HTTPS: ("https",), Type.SVCB: ("https", "http")}
_PORT, _IPV4HINT, _IPV6HINT = 3, 4, 6


def _bindings(live: Live, rtype: int) -> Made:
    """SVCB for what speaks HTTP or HTTPS. An HTTPS record tells browsers to use TLS (RFC 9460 §9.5), so only what does has one."""
    at_port = live.form is Form.HTTPS_PORT
    schemes = _SCHEMES[Type.HTTPS if at_port else rtype]

    def rdata(live: Live, instance: Instance, rank: Rank, host: bytes) -> bytes | None:
        port, in_octets = _http_port(instance, schemes), address_if_any(instance.spec.ip)
        if not port or in_octets is None or (at_port and port != live.match(instance)):
            return None
        return _svcb_rdata(instance, host, port, in_octets)

    return _with_targets(live, rtype, rdata)


def _http_port(instance: Instance, schemes: Iterable[str]) -> int | None:
    """Where the instance speaks HTTPS, or failing that HTTP: a port of that name, or a `scheme` or `protocol` in its metadata."""
    ports = dict(instance.spec.ports)
    if "https" in ports:
        return ports["https"]
    said = metadata.unpack(instance.spec.metadata)
    for scheme in schemes:
        if scheme in ports:
            return ports[scheme]
        if scheme in (said.get("scheme"), said.get("protocol")):
            return instance.spec.port
    return None


def _may_speak(schemes: Iterable[str], instance: Instance) -> bool:
    """False where `_http_port` is surely None: a scheme that metadata tells stands in its text, in quotes."""
    ports, said = dict(instance.spec.ports), instance.spec.metadata
    return any(scheme in ports or b'"%s"' % scheme.encode() in said for scheme in schemes)


def _svcb_rdata(instance: Instance, host: bytes, port: int, in_octets: bytes) -> bytes:
    """RFC 9460 §2.2, service form: port (§7.2) and address hint (§7.3), keys in ascending order. Priority 0 would be an alias."""
    ip, priority = instance.spec.ip, max(1, instance.spec.priority)
    hint = _parameter(_IPV6HINT if ":" in ip else _IPV4HINT, in_octets)
    return struct.pack("!H", priority) + host + _parameter(_PORT, port.to_bytes(2, "big")) + hint


def _parameter(key: int, value: bytes) -> bytes:
    return struct.pack("!HH", key, len(value)) + value


# -- URI

_URI = 256
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}")  # RFC 3986 §3.1
_IN_PATHS = "/:@!$&'()*+,;=~%"  # RFC 3986 §3.3
_BARE_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")


def _uris(live: Live, rtype: int) -> Made:
    return _with_targets(live, rtype, _uri_rdata)


def _uri_rdata(live: Live, instance: Instance, rank: Rank, host: bytes) -> bytes | None:
    """RFC 7553 §4.5: SCHEME://HOST:PORT/PATH with the `scheme` and `path` of the metadata; None without a scheme or a port, or above
    MAX_TEXT.
    """
    spec = instance.spec
    said = metadata.unpack(spec.metadata)
    scheme, path = said.get("scheme"), said.get("path")
    if not isinstance(scheme, str) or not _SCHEME.fullmatch(scheme):
        return None
    port = live.match(instance) or spec.port
    if not port:
        return None
    place = f"{to_text(from_wire(host))}:{port}"
    in_text = _BARE_PERCENT.sub("%25", quote(path, safe=_IN_PATHS)) if isinstance(path, str) else ""
    uri = f"{scheme}://{place}/{in_text.removeprefix('/')}"
    return struct.pack("!HH", *rank) + uri.encode() if len(uri) <= MAX_TEXT else None


LIVE_TYPES = (
    LiveType(
        Type.A,
        (Form.HOST,),
        _addresses,
        "no IPv4 instance",
        _has_ipv4,
        most=4096,
        others=Others.LEFT_OUT,
    ),
    LiveType(
        Type.AAAA,
        (Form.HOST,),
        _addresses,
        "no IPv6 instance",
        _has_ipv6,
        most=4096,
        others=Others.LEFT_OUT,
    ),
    LiveType(
        Type.SRV,
        (Form.HOST, Form.NAMED_PORT, Form.SERVICE_TYPE, Form.BROWSED_INSTANCE),
        _srv,
        "no instance with a port",
    ),
    LiveType(
        Type.TXT, (Form.HOST, Form.SERVICE_TYPE, Form.BROWSED_INSTANCE), _txt, parses_metadata=True, others=Others.ALIKE
    ),
    # Three more records stand beside each.
    LiveType(
        Type.PTR,
        (Form.SERVICE_TYPE, Form.SUBTYPE),
        _pointers,
        "no instance with an address and a port",
        parses_metadata=True,
        most=350,
        others=Others.ALIKE,
    ),
    *(
        LiveType(
            rtype,
            (Form.HOST, Form.HTTPS_PORT),
            _bindings,
            f"no instance that says it speaks {' or '.join(schemes)}",
            partial(_may_speak, schemes),
            parses_metadata=True,
        )
        for rtype, schemes in _SCHEMES.items()
    ),
    LiveType(
        _URI,
        (Form.HOST, Form.SERVICE_TYPE),
        _uris,
        "no instance whose metadata has a scheme",
        lambda instance: b'"scheme"' in instance.spec.metadata,
        parses_metadata=True,
    ),
)

# In place of all these at a name that means host names alone, whatever type is asked for: a name with an alias has nothing else (RFC 1034
# §3.6.2), and one alias (RFC 2181 §10.1), so a reply has one of them.
ALIAS = LiveType(Type.CNAME, (Form.HOST,), _host_names, most=64, others=Others.LEFT_OUT)

OF_FORM: Mapping[Form, Mapping[int, LiveType]] = {
    form: {kind.type: kind for kind in LIVE_TYPES if form in kind.forms} for form in Form
}
