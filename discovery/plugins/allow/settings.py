"""The plugin's own settings, read like the server's."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode

from discovery.core.network import Network, unmapped
from discovery.dns.message.names import ROOT, Name, from_text
from discovery.system.env import EnvSettings


def _rules(value: object) -> object:
    """`NETWORK|NETWORK,ZONE=NETWORK|NETWORK`: for all zones that are not named, and by zone."""
    if not isinstance(value, str):
        return value
    rules: dict[Name, tuple[Network, ...]] = {}
    for part in filter(None, map(str.strip, value.split(","))):
        zone, has_zone, networks = part.rpartition("=")
        name = _zone(zone.strip()) if has_zone else ROOT
        if has_zone and name in rules:
            raise ValueError(f"{zone} is there twice; write all its networks in one, with | between them")
        rules[name] = (*rules.get(name, ()), *map(_network, networks.split("|")))
    return rules


def _zone(text: str) -> Name:
    try:
        name = from_text(text)
    except ValueError:
        raise ValueError(f"{text!r} is no zone; write ZONE=NETWORK|NETWORK, or NETWORK for all zones") from None
    if name == ROOT:
        raise ValueError("there is no zone before the =; write ZONE=NETWORK|NETWORK, or NETWORK for all zones")
    return name


def _network(text: str) -> Network:
    try:
        return unmapped(ip_network(text.strip()))
    except ValueError as error:
        raise ValueError(f"{text.strip()!r} is no network such as 10.0.0.0/8, 127.0.0.1 or fd00::/8: {error}") from None


class AllowSettings(EnvSettings):
    # By zone, ROOT for all others.
    dns_allow: Annotated[dict[Name, tuple[Network, ...]], NoDecode, BeforeValidator(_rules)] = Field({})
    """Networks whose clients may ask, for all zones (10.0.0.0/8,127.0.0.1) or by zone
    (svc.local=10.0.0.0/8|192.168.0.0/16,legacy.local=127.0.0.0/8); others get REFUSED. Empty: everybody may ask."""
