"""Every form of name that a service has in DNS, and what the model says to each: the table of docs/dns.md, once more.

Names are made from what instances have, never taken apart, so that nothing here can share a mistake with a parser.
"""

from __future__ import annotations

import ipaddress
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from tests.differential.model import Key, Model, Row

MAX_TTL = 5
ZONES = ("svc.local", "consul")
TYPES = ("A", "AAAA", "SRV", "TXT", "PTR", "MX")

HOST, NAMED_PORT, SERVICE_TYPE, SUBTYPE, BROWSED, BRANCH = "host", "named port", "type", "subtype", "browsed", "branch"
_HAS = {
    HOST: {"A", "AAAA", "SRV", "TXT"},
    NAMED_PORT: {"SRV"},
    SERVICE_TYPE: {"SRV", "TXT", "PTR"},
    SUBTYPE: {"PTR"},
    BROWSED: {"SRV", "TXT"},
    BRANCH: set[str](),
}  # fmt: skip


# The port to tell of an instance; None when the name does not mean it.
Means = Callable[[Key, Row], "int | None"]


class Asked(NamedTuple):
    """A name, and which rows of its service it means, at which port."""

    name: str
    form: str
    service: str
    means: Means


class Expected(NamedTuple):
    """`outcome`: ANSWER, NODATA, NXDOMAIN, REFUSED. `data` in dnspython's text; of more than `most` any so many are right.

    `ttl`: the least and the most it may be. `beside`: the address that stands beside each record, by owner.
    """

    outcome: str
    data: frozenset[str] = frozenset()
    ttl: tuple[int, int] = (0, 0)
    most: int | None = None
    beside: Mapping[str, str] = {}


def label(key: Key) -> str:
    _, ip, port = key
    return f"ip-{ip.replace('.', '-').replace(':', '-')}-p{port}"


def host(key: Key, zone: str) -> str:
    return f"{label(key)}.{key[0]}.{zone}."


def of(service: str, rows: Mapping[Key, Row], zone: str) -> list[Asked]:
    """All names of a service in a zone, in other registries' spellings too."""
    found = [Asked(f"{name}.{zone}", form, service, means) for name, form, means in _names(service, rows)]
    below = f".{service}.{zone}"
    found += [
        one._replace(name=f"{one.name[: -len(zone)]}default.{zone}")
        for one in found
        if one.name.endswith(below) or one.name == below[1:]
    ]
    if zone == "consul":
        for suffix in ("service.consul", "service.dc1.consul"):
            found += [
                Asked(f"{name}.{suffix}", form, service, means)
                for name, form, means in [*_names(service, rows), *_consul_tags(service, rows)]
                if form in (HOST, SERVICE_TYPE) and ".zone." not in name
            ]
    return found


def _consul_tags(service: str, rows: Mapping[Key, Row]) -> Iterator[tuple[str, str, Means]]:
    for tag in _each(rows, lambda row: row.get("tags")):
        yield f"_{service}._{tag}", HOST, _with_tag(tag)


def _names(service: str, rows: Mapping[Key, Row]) -> Iterator[tuple[str, str, Means]]:
    """Without the zone."""
    tags, ports = _each(rows, lambda row: row.get("tags")), _each(rows, lambda row: row.get("ports"))
    yield service, HOST, _any
    for tag in tags:
        yield f"{tag}.{service}", HOST, _with_tag(tag)
    for zone in _each(rows, lambda row: [row.get("zone")] if row.get("zone") else []):
        yield f"{zone}.zone.{service}", HOST, _in_zone(zone)
    for port in sorted({key[2] for key in rows} | {1}):
        yield f"p{port}.{service}", HOST, _at_port(port)
    for protocol in ("tcp", "udp"):
        yield f"_{service}._{protocol}", SERVICE_TYPE, _with_protocol(protocol)
        yield f"_{protocol}.{service}", BRANCH, _any
        for name in ports:
            yield f"_{name}._{protocol}.{service}", NAMED_PORT, _with_named_port(name, protocol)
        for tag in tags:
            yield f"_{tag}._sub._{service}._{protocol}", SUBTYPE, _with_tag(tag, protocol)
    for key, row in rows.items():
        yield f"{label(key)}.{service}", HOST, _only(key)
        for protocol in _protocols(row):
            yield f"{label(key)}._{service}._{protocol}", BROWSED, _only(key)


def _each(rows: Mapping[Key, Row], values: Callable[[Row], Iterable[str]]) -> list[str]:
    """All that any has, in lower case, and one that none has."""
    return sorted({value.lower() for row in rows.values() for value in values(row)} | {"none-has-it"})


def _protocols(row: Row) -> list[str]:
    said = row.get("protocol")
    return [said] if isinstance(said, str) else list(said)


def _any(key: Key, row: Row) -> int | None:
    return key[2]


def _with_protocol(protocol: str) -> Means:
    return lambda key, row: key[2] if protocol in _protocols(row) else None


def _with_tag(tag: str, protocol: str | None = None) -> Means:
    def means(key: Key, row: Row) -> int | None:
        right = protocol is None or protocol in _protocols(row)
        return key[2] if right and tag in [each.lower() for each in row.get("tags")] else None

    return means


def _in_zone(zone: str) -> Means:
    return lambda key, row: key[2] if (row.get("zone") or "").lower() == zone else None


def _at_port(port: int) -> Means:
    return lambda key, row: port if key[2] == port else None


def _with_named_port(name: str, protocol: str) -> Means:
    return lambda key, row: row.get("ports").get(name) if protocol in _protocols(row) else None


def _only(one: Key) -> Means:
    return lambda key, row: key[2] if key == one else None


# -- what is to be said


def expected(model: Model, asked: Asked, zone: str, rtype: str) -> Expected:
    rows = model.of(asked.service)
    ports = {key: port for key, row in rows.items() if (port := asked.means(key, row)) is not None}
    if not ports:
        return Expected("NXDOMAIN")
    served = model.served({key: rows[key] for key in ports})
    if not served or rtype not in _HAS[asked.form]:
        return Expected("NODATA")
    data: dict[str, list[Key]] = {}
    for key, row in served.items():
        text = _data(key, row, ports[key], zone, rtype, asked)
        if text is not None:
            data.setdefault(text, []).append(key)
    if not data:
        return Expected("NODATA")
    limits = [row.sent["maxAnswers"] for row in served.values() if "maxAnswers" in row.sent]
    beside = {host(key, zone): key[1] for key in served} if rtype == "SRV" else {}
    in_it = [rows[key] for keys in data.values() for key in keys]
    ttl = (_ttl(model, served.values()), _ttl(model, in_it))
    return Expected("ANSWER", frozenset(data), ttl, min(limits, default=None), beside)


def _ttl(model: Model, rows: Iterable[Row]) -> int:
    return min(MAX_TTL, math.floor(min(row.ends for row in rows) - model.now))


def _data(key: Key, row: Row, port: int, zone: str, rtype: str, asked: Asked) -> str | None:
    if rtype in ("A", "AAAA"):
        return key[1] if (":" in key[1]) == (rtype == "AAAA") else None
    if rtype == "SRV":
        return f"{row.get('priority')} {row.get('weight')} {port} {host(key, zone)}"
    if rtype == "TXT":
        return txt(row, browsed=asked.form == BROWSED)
    protocol = next(part for part in reversed(asked.name.split(".")) if part in ("_tcp", "_udp"))
    return f"{label(key)}._{key[0]}.{protocol}.{zone}."


def txt(row: Row, browsed: bool) -> str:
    pairs = ["txtvers=1"] if browsed else []
    pairs += [f"{name}={_text(value)}" for name, value in row.get("metadata").items()]
    return " ".join(f'"{pair}"' for pair in pairs) or '""'


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def browse(model: Model, zone: str) -> Expected:
    """`_services._dns-sd._udp`: a type is there as long as its last instance."""
    types: dict[str, int] = {}
    for key, row in model.served(model.rows).items():
        for protocol in _protocols(row):
            name = f"_{key[0]}._{protocol}.{zone}."
            types[name] = max(types.get(name, 0), _ttl(model, [row]))
    if not types:
        return Expected("NODATA")
    least = min(types.values())
    return Expected("ANSWER", frozenset(types), (least, least))


def reverse(model: Model, ip: str) -> Expected:
    here = {key: row for key, row in model.rows.items() if key[1] == ip}
    if not here:
        return Expected("REFUSED")
    served = model.served(here)
    if not served:
        return Expected("NODATA")
    least = _ttl(model, served.values())
    return Expected("ANSWER", frozenset(host(key, ZONES[0]) for key in served), (least, least))


def reverse_name(ip: str) -> str:
    return ipaddress.ip_address(ip).reverse_pointer
