"""The plugin's own settings, read like the server's."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from discovery.core.address import parse_ip
from discovery.core.errors import InvalidField
from discovery.core.lease import MAX_KEEP
from discovery.core.name import label
from discovery.dns.message.names import from_text, to_text
from discovery.system.env import EnvSettings

# Seconds that a blocking query lasts where the client does not say; Consul's (5 minutes).
DEFAULT_WAIT = 300.0


def _nodes(value: object) -> object:
    """`ADDRESS=NAME,ADDRESS=NAME`."""
    if not isinstance(value, str):
        return value
    names: dict[str, str] = {}
    for part in filter(None, map(str.strip, value.split(","))):
        address, _, name = part.partition("=")
        try:
            ip = str(ip_address(address.strip()))
            for each in name.strip().split("."):
                label(each, "node")
        except (ValueError, InvalidField):
            raise ValueError(
                f"{part!r} does not name a node; write ADDRESS=NAME, such as 10.0.0.7=web-host-1"
            ) from None
        if ip in names:
            raise ValueError(f"{ip} is there twice; an address is of one node")
        names[ip] = name.strip()
    return names


# Octets of CONSUL_DOMAIN: the longest name below it that is made here has 106 more, of 255.
MAX_DOMAIN = 140


def _domain(value: str) -> str:
    if len(value) > MAX_DOMAIN:
        raise ValueError(f"is longer than {MAX_DOMAIN} octets")
    return to_text(from_text(value)) if value else ""


def _address(value: object) -> object:
    if value is None:
        return None
    try:
        return parse_ip(value)
    except InvalidField as error:
        raise ValueError(error.reason) from None


def _url(value: object) -> object:
    if not isinstance(value, str):
        return value
    url = urlsplit(value)
    if (
        url.scheme not in ("http", "https")
        or not url.hostname
        or url.username is not None
        or url.path.strip("/")
        or url.query
    ):
        raise ValueError(
            f"{value!r} is no address of a Consul; write http://HOST:8500, and its token into CONSUL_KV_TOKEN"
        )
    return value


class ConsulSettings(EnvSettings):
    consul: bool = False
    """true: the clients of Consul find its HTTP API here, below /v1."""
    consul_port: int = Field(0, ge=0, le=65535)
    """A port on which HTTP is answered besides PORT, 8500 for instance. 0: none."""
    consul_datacenter: str = Field("dc1", pattern=r"^[A-Za-z0-9_-]{1,63}$")
    """The name of the data center. Questions about another one are refused as Consul refuses them."""
    consul_domain: Annotated[str, AfterValidator(_domain)] = "consul"
    """The zone in which DNS has Consul's names: NAME.service.consul, NODE.node.consul. Empty: none."""
    consul_dns_tc: bool = False
    """true: a DNS answer that was cut to fit a datagram says so (TC). HAProxy takes that for an error, and drops its servers."""
    consul_dns_compat: bool = False
    """true: where Consul's DNS only errs, so does ours: NXDOMAIN for a service of which nothing is healthy, addr.consul of addresses that
    nobody has, SRV with port 0."""
    consul_nodes: Annotated[dict[str, str], NoDecode, BeforeValidator(_nodes)] = Field({})
    """Names of hosts as Consul's nodes: ADDRESS=NAME, comma separated; several addresses of a host get the same name. A host that is not
    named is called ip-10-0-0-7 after its address."""
    consul_advertise: Annotated[str | None, BeforeValidator(_address)] = None
    """The address of this host, for services that register from a loopback address and give none of their own."""
    consul_wait_max: float = Field(DEFAULT_WAIT, gt=0, le=600)
    """Seconds that a blocking query lasts at the most (and up to a sixteenth more). Spring 5 with WebFlux gives up after 10."""
    consul_keep: float = Field(MAX_KEEP, ge=60, le=MAX_KEEP)
    """Seconds for which an instance is listed as critical after the reports of its TTL check ended, unless it says itself when it is to be
    deregistered (DeregisterCriticalServiceAfter)."""
    consul_kv_upstream: Annotated[str | None, BeforeValidator(_url)] = None
    """http://HOST:8500 of a Consul that has the keys: /v1/kv, /v1/txn and /v1/session are handed on to it. Empty: there are no keys."""
    consul_kv_token: SecretStr | None = None
    """The token that it is shown. Empty: that of the client, unless this server has tokens of its own."""
