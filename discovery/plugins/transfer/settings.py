"""The plugin's own settings, read like the server's."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import BeforeValidator, model_validator
from pydantic_settings import NoDecode

from discovery.env import EnvSettings, split

Network = IPv4Network | IPv6Network

DNS_PORT = 53


class Secondary(NamedTuple):
    ip: str
    port: int

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"


_SECONDARY = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+))(?::([0-9]{1,5}))?|([0-9a-fA-F:.]+)")


def _secondary(value: object) -> object:
    """`IP`, `IP:PORT` or `[IPv6]:PORT`."""
    if not isinstance(value, str):
        return value
    match = _SECONDARY.fullmatch(value)
    try:
        ip = ip_address((match[1] or match[2] or match[4]) if match else "")
    except ValueError:
        raise ValueError(f"{value!r} is no secondary; write IP, IP:PORT or [IPv6]:PORT") from None
    port = int(match[3] or DNS_PORT) if match else DNS_PORT
    if ip.is_unspecified or not 1 <= port <= 65535:
        raise ValueError(f"{value!r} is no address and port that can be told anything")
    return Secondary(str(ip), port)


class TransferSettings(EnvSettings):
    transfer_keys_file: Path | None = None  # None: off
    transfer_allow: Annotated[tuple[Network, ...], NoDecode, BeforeValidator(split)] = ()
    transfer_notify: Annotated[
        tuple[Annotated[Secondary, BeforeValidator(_secondary)], ...], NoDecode, BeforeValidator(split)
    ] = ()

    @model_validator(mode="after")
    def _whole_or_not_at_all(self) -> TransferSettings:
        if self.transfer_keys_file is not None and not self.transfer_allow:
            raise ValueError("TRANSFER_ALLOW: no network is in it; say whose transfers TRANSFER_KEYS_FILE is for")
        if self.transfer_keys_file is None and (self.transfer_allow or self.transfer_notify):
            raise ValueError(
                "TRANSFER_KEYS_FILE: without keys nothing is transferred, and nobody told of changes; set it"
            )
        return self
