"""The plugin's own settings, read like the server's."""

from __future__ import annotations

import ipaddress
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode

from discovery.system.env import Endpoint, EnvSettings, endpoint, split

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_LOOPBACK_AND_PRIVATE: tuple[Network, ...] = tuple(
    map(
        ipaddress.ip_network,
        ("127.0.0.0/8", "::1", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10"),
    )
)


Upstream = Endpoint
_upstream = endpoint("upstream", "asked")


class ForwardSettings(EnvSettings):
    forward_to: Annotated[
        tuple[Annotated[Upstream, BeforeValidator(_upstream)], ...], NoDecode, BeforeValidator(split)
    ] = ()
    """Upstream resolvers for names outside our zones. Empty: off."""
    forward_clients: Annotated[tuple[Network, ...], NoDecode, BeforeValidator(split)] = _LOOPBACK_AND_PRIVATE
    """Networks, comma separated, whose clients it serves."""
    forward_timeout_seconds: Annotated[float, Field(ge=0.1, le=30)] = 2
    """Seconds for each upstream, 0.1 to 30."""
