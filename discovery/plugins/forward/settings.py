"""The plugin's own settings, read like the server's."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, NamedTuple

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode

from discovery.env import EnvSettings, split

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

DNS_PORT = 53
_LOOPBACK_AND_PRIVATE: tuple[Network, ...] = tuple(
    map(
        ipaddress.ip_network,
        ("127.0.0.0/8", "::1", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10"),
    )
)


class Upstream(NamedTuple):
    ip: str
    port: int

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"


_UPSTREAM = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+))(?::([0-9]{1,5}))?|([0-9a-fA-F:.]+)")


def _upstream(value: object) -> object:
    """`IP`, `IP:PORT` or `[IPv6]:PORT`."""
    if not isinstance(value, str):
        return value
    match = _UPSTREAM.fullmatch(value)
    try:
        ip = ipaddress.ip_address((match[1] or match[2] or match[4]) if match else "")
    except ValueError:
        raise ValueError(f"{value!r} is no upstream; write IP, IP:PORT or [IPv6]:PORT") from None
    port = int(match[3] or DNS_PORT) if match else DNS_PORT
    if ip.is_unspecified or not 1 <= port <= 65535:
        raise ValueError(f"{value!r} is no address and port that can be asked")
    return Upstream(str(ip), port)


class ForwardSettings(EnvSettings):
    forward_to: Annotated[
        tuple[Annotated[Upstream, BeforeValidator(_upstream)], ...], NoDecode, BeforeValidator(split)
    ] = ()
    forward_clients: Annotated[tuple[Network, ...], NoDecode, BeforeValidator(split)] = _LOOPBACK_AND_PRIVATE
    forward_timeout_seconds: Annotated[float, Field(ge=0.1, le=30)] = 2
