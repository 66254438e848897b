"""What a registration in Consul's words is in the registry's: a Registration with its checks, and the Peer who said it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

from discovery.core.address import parse_address, parse_port
from discovery.core.check import MAX_REPORT, MIN_REPORT, Check
from discovery.core.errors import InvalidField
from discovery.core.health import Health
from discovery.core.instance import Registration
from discovery.core.network import ip_of
from discovery.core.options import DEFAULT_WEIGHT
from discovery.plugins.consul.directory import Peer
from discovery.plugins.consul.manners import Refused

Json = Mapping[str, Any]

HEALTH = {"passing": Health.PASSING, "warning": Health.WARNING, "critical": Health.FAILING}
# Characters of an id: it names a check, too.
MAX_ID = 200
_MAX_META, _MAX_META_KEY, _MAX_META_VALUE = 64, 128, 512
# Of a weight (RFC 2782).
_MOST = 65535
# Seconds, as Consul has them.
_LEAST_DEREGISTER, _TIMEOUT = 60.0, 10.0
_LOCAL_NAME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252})")
_SCRIPTS = "Scripts are disabled on this agent from remote calls; to enable, configure 'enable_script_checks' to true"
_OTHERS = ("DockerContainerID", "AliasNode", "AliasService", "UDP", "H2PING")


class Said(NamedTuple):
    """`spec`: without its checks."""

    spec: Registration
    peer: Peer
    checks: tuple[Check, ...]


def service(said: Json, at: str, keep: float, node: str | None = None) -> Said:
    """From the body of a registration. `at`: the address of the host that it comes from; `node`: its node's name, if it is not the host's.
    `keep`: seconds after which one goes whose TTL check has lapsed. Refused, as Consul does.
    """
    name = said.get("Name") or said.get("Service") or ""
    if not name:
        raise Refused(400, "Missing service name")
    id = said.get("ID") or name
    if len(id) > MAX_ID or not id.isprintable():
        raise Refused(400, f"Invalid service ID: at most {MAX_ID} printable characters are kept")
    _check_meta(said.get("Meta", {}))
    weights = said.get("Weights")
    if node is not None and weights is not None and not any(weights.values()):
        weights = None  # Go sends zeros to the catalog
    weight, warning = _weights(weights)
    address = said.get("Address", "")
    if (ip := ip_of(address)) is not None and ip.is_unspecified:
        raise Refused(400, "Invalid service address")
    kept = {field: said[field] for field in ("TaggedAddresses", "Kind", "Proxy", "Connect") if said.get(field)}
    if said.get("EnableTagOverride"):
        kept["EnableTagOverride"] = True
    if is_local := not address or _is_local_name(address):
        kept["Address"] = address
    peer = Peer(id, at, node, kept)
    try:
        spec = Registration.of(
            name, parse_address(at if is_local else address, "Address"), said.get("Port") or None, metadata=said.get("Meta") or None,
            tags=[tag for tag in said.get("Tags", ()) if tag], weight=weight, warning_weight=warning, lease="none",
        )  # fmt: skip
        checks = [each for each in (*said.get("Checks", ()), said.get("Check", {})) if each]
        made = [check(each, f"service:{id}" + (f":{number}" if len(checks) > 1 else ""), f"Service '{name}' check", peer, spec, keep)
                for number, each in enumerate(checks, 1)]  # fmt: skip
    except InvalidField as error:
        raise Refused(400, f"Invalid service {error}") from None
    alone = [each.id for each, sent in zip(made, checks, strict=True) if _is_moved(sent, at)]
    if alone:
        kept["Moved"] = alone
    if notes := {each.id: sent["Notes"] for each, sent in zip(made, checks, strict=True) if sent.get("Notes")}:
        kept["Notes"] = notes
    return Said(spec, peer, tuple(made))


def _is_local_name(address: str) -> bool:
    """A name by which only the host's own network knows it, as Docker's do: of one label, or with an underscore."""
    return bool(_LOCAL_NAME.fullmatch(address)) and ("_" in address or "." not in address.removesuffix("."))


def _check_meta(meta: Json) -> None:
    if len(meta) > _MAX_META:
        raise Refused(400, f"Invalid Service Meta: Node metadata cannot contain more than {_MAX_META} key/value pairs")
    for key, value in meta.items():
        for name, text, most in (("Key", key, _MAX_META_KEY), ("Value", value, _MAX_META_VALUE)):
            if len(text) > most:
                pair = f"Couldn't load metadata pair ('{key}', '{value}')"
                raise Refused(400, f"Invalid Service Meta: {pair}: {name} is too long (limit: {most} characters)")


def _weights(said: Json | None) -> tuple[int, int]:
    """Consul's usual weight is 1 of each, and stands for the usual one here."""
    passing, warning = (1, 1) if said is None else (said.get("Passing", 0), said.get("Warning", 0))
    if passing < 1:
        raise Refused(400, "Invalid Weights: Passing must be greater than 0")
    if warning < 0:
        raise Refused(400, "Invalid Weights: Warning must be greater or equal than 0")
    if max(passing, warning) > _MOST:
        raise Refused(400, f"Invalid Weights: DNS Weight must be between 0 and {_MOST}")
    return min(passing * DEFAULT_WEIGHT, _MOST), min(warning * DEFAULT_WEIGHT, _MOST)


# -- checks


def check(said: Json, id: str, name: str, peer: Peer, spec: Registration, keep: float) -> Check:
    """`id`, `name`: where it says none. Refused; InvalidField."""
    status = said.get("Status", "")
    if status and status not in HEALTH:
        raise Refused(400, "Status for checks must 'passing', 'warning', 'critical'")
    if said.get("Args") or said.get("ScriptArgs") or said.get("Shell"):
        raise Refused(500, _SCRIPTS)
    ttl, interval = said.get("TTL", 0.0), said.get("Interval", 0.0)
    probe = next((kind for kind in ("HTTP", "TCP", "GRPC") if said.get(kind)), None)
    if probe is None and (other := next((each for each in _OTHERS if said.get(each)), None)) is not None:
        raise Refused(400, f"Invalid check: {other} checks are not made here; use TTL, HTTP, TCP or GRPC")
    if probe is not None and interval and ttl:
        raise Refused(400, "Invalid check: Interval and TTL cannot both be specified")
    if probe is not None and interval <= 0:
        raise Refused(400, "Invalid check: Interval must be > 0 for Script, HTTP, or TCP checks")
    if probe is None and ttl <= 0:
        raise Refused(400, "Invalid check: TTL must be > 0 for TTL checks")
    after = said.get("DeregisterCriticalServiceAfter", 0.0)
    made: dict[str, Any] = {
        "id": said.get("CheckID") or said.get("ID") or id, "name": said.get("Name") or name, "group": peer.key,
        "status": HEALTH[status or "critical"],
    }  # fmt: skip
    if after > 0:
        made["criticalAfter"] = min(max(after, _LEAST_DEREGISTER), 30 * 86400.0)
    if probe is None:
        made |= {"ttl": min(max(ttl, MIN_REPORT), MAX_REPORT)}
        made.setdefault("criticalAfter", keep)
    else:
        seconds = min(max(interval, 1.0), 3600.0)
        made |= {
            "interval": seconds, "timeout": min(max(said.get("Timeout") or _TIMEOUT, 0.1), 60.0),
            "failures": min(max(said.get("FailuresBeforeCritical", 0), 0), 99) + 1,
            "successes": max(1, min(said.get("SuccessBeforePassing", 1), 100)), **_TARGET[probe](said, peer, spec),
        }  # fmt: skip
    return Check.of(made, "Check")


def _is_moved(said: Json, at: str) -> bool:
    """Whether it was to be made at the loopback address of a host that is not this one, or by a name that is known there alone."""
    target = next((said[kind] for kind in _TARGET if said.get(kind)), None)
    if target is None or at.startswith("127.") or at == "::1":
        return False
    return _is_the_hosts(_split(target).hostname or "")


def _split(target: str) -> SplitResult:
    try:
        return urlsplit(target if "://" in target else f"//{target}")
    except ValueError:
        raise Refused(400, f"Invalid check: it is neither a URL nor HOST:PORT: {target!r:.100}") from None


def _is_the_hosts(name: str) -> bool:
    ip = ip_of(name)
    return name == "" or (ip.is_loopback if ip is not None else _is_local_name(name))


def _http(said: Json, peer: Peer, spec: Registration) -> dict[str, Any]:
    url = _split(said["HTTP"])
    if url.scheme not in ("http", "https"):
        raise Refused(400, f"Invalid check: HTTP is no URL of http or https: {said['HTTP']!r:.100}")
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    found: dict[str, Any] = {"http": path, "method": said.get("Method") or "GET"}
    if headers := {name: ", ".join(values) for name, values in said.get("Header", {}).items()}:
        found["headers"] = headers
    if said.get("Body"):
        found["body"] = said["Body"]
    if url.scheme == "https":
        found |= {"tls": True, "tlsSkipVerify": said.get("TLSSkipVerify", False)}
    try:
        port = url.port or (443 if url.scheme == "https" else 80)
    except ValueError:
        raise Refused(400, f"Invalid check: {said['HTTP']!r:.100} has no port from 1 to 65535") from None
    return found | _place(url.hostname or "", port, peer, spec)


def _tcp(said: Json, peer: Peer, spec: Registration) -> Json:
    return {"tcp": True, **_place_in(said["TCP"], "TCP", peer, spec)}


def _grpc(said: Json, peer: Peer, spec: Registration) -> Json:
    target, _, name = said["GRPC"].partition("/")
    found: dict[str, Any] = {"grpc": name or True, **_place_in(target, "GRPC", peer, spec)}
    if said.get("GRPCUseTLS"):
        found |= {"tls": True, "tlsSkipVerify": said.get("TLSSkipVerify", False)}
    return found


_TARGET = {"HTTP": _http, "TCP": _tcp, "GRPC": _grpc}


def _place_in(target: str, kind: str, peer: Peer, spec: Registration) -> dict[str, Any]:
    host, _, port = target.rpartition(":")
    try:
        number = parse_port(port)
    except InvalidField:
        raise Refused(400, f"Invalid check: {kind} is no HOST:PORT: {target!r:.100}") from None
    return _place(host.strip("[]"), number, peer, spec)


def _place(host: str, port: int, peer: Peer, spec: Registration) -> dict[str, Any]:
    """Where it is made, if that is not the instance's own address and port. What is loopback to the service is its host's address."""
    if host == peer.said.get("Address"):
        host = spec.ip
    elif _is_the_hosts(host):
        host = peer.at
    found: dict[str, Any] = {}
    if host != spec.ip:
        found["address"] = host
    if port != spec.port:
        found["port"] = port
    return found
