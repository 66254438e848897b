"""The plugin's own settings, read like the server's."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, model_validator

from discovery.core.network import Network
from discovery.system.env import Endpoint, EnvSettings, Listed, endpoint

Secondary = Endpoint
_secondary = endpoint("secondary", "told anything")


def _own_address(value: object) -> str:
    try:
        ip = ip_address(str(value))
    except ValueError:
        raise ValueError(f"{value!r} is no IP address") from None
    if ip.is_unspecified:
        raise ValueError(f"{value} is every address; name the one that secondaries know this server by")
    return str(ip)


class TransferSettings(EnvSettings):
    transfer_keys_file: Path | None = None
    """A file of TSIG keys, as tsig-keygen prints them. Empty: no zone transfers."""
    transfer_allow: Listed[Network] = ()
    """Networks, comma separated, whose clients may transfer zones when they sign with one of the keys."""
    transfer_notify: Listed[Annotated[Secondary, BeforeValidator(_secondary)]] = ()
    """Secondaries that are told of changes (NOTIFY): IP, IP:PORT or [IPv6]:PORT, comma separated. Empty: they ask when their
    refresh time comes."""

    transfer_notify_source: Listed[Annotated[str, BeforeValidator(_own_address)]] = ()
    """Addresses of this host from which secondaries are told, comma separated, one for each of IPv4 and IPv6. Empty: where DNS listens
    (DNS_HOST)."""

    @model_validator(mode="after")
    def _whole_or_not_at_all(self) -> TransferSettings:
        if self.transfer_keys_file is not None and not self.transfer_allow:
            raise ValueError("TRANSFER_ALLOW: no network is in it; say whose transfers TRANSFER_KEYS_FILE is for")
        if self.transfer_keys_file is None and (self.transfer_allow or self.transfer_notify):
            raise ValueError(
                "TRANSFER_KEYS_FILE: without keys nothing is transferred, and nobody told of changes; set it"
            )
        return self
