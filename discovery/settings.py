"""The server's knobs: environment, then `.env`, then the default; read once, at start. `.env.example` shows them all.

A plugin's or an engine's own settings stand in its folder, under its prefix.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, model_validator
from pydantic_settings import NoDecode

from discovery.dns.message import names
from discovery.dns.server.rate_limit import EXEMPT, PER_ANSWER, PER_PREFIX, SLIP, Network
from discovery.dns.server.replies import MAX_SERVER_ID
from discovery.dns.zones.service_zone import MAX_ORIGIN
from discovery.system.env import EnvSettings, split


def _address(text: str) -> str:
    if text == "localhost":
        return text
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError(f"{text!r} is neither an IP address nor localhost") from None


def _domain(text: str) -> str:
    origin = names.from_text(text)
    if len(names.to_wire(origin)) > MAX_ORIGIN:
        raise ValueError(f"{text!r} is too long: a zone of services has at most {MAX_ORIGIN} octets")
    return names.to_text(origin)


def _server_id(text: str) -> str:
    if len(text.encode()) > MAX_SERVER_ID:
        raise ValueError(
            f"has {len(text.encode())} octets, at most {MAX_SERVER_ID} fit every reply; choose a shorter one"
        )
    return text


_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(\[[0-9a-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")


def _origin(text: str) -> str:
    if not _ORIGIN.fullmatch(text):
        raise ValueError(f"{text!r} is no origin; write scheme://host[:port], without a path, each in full")
    return text


def _flatten(addresses: tuple[str, ...]) -> tuple[str, ...]:
    """localhost is both loopback addresses: clients try one or the other first."""
    return tuple(ip for text in addresses for ip in (("127.0.0.1", "::1") if text == "localhost" else (text,)))


Addresses = Annotated[
    tuple[Annotated[str, AfterValidator(_address)], ...], NoDecode, BeforeValidator(split), AfterValidator(_flatten)
]
Domains = Annotated[tuple[Annotated[str, AfterValidator(_domain)], ...], NoDecode, BeforeValidator(split)]
Origins = Annotated[tuple[Annotated[str, AfterValidator(_origin)], ...], NoDecode, BeforeValidator(split)]
Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(ge=1, le=3600)]
DnsSeconds = Annotated[int, Field(ge=0, le=3600)]


def _most_answers(value: object) -> object:
    """`3`, or `svc.local=3,legacy.local=1`: by zone, `""` for all others."""
    if not isinstance(value, str):
        return value
    parts = [part.strip() for part in value.split(",") if part.strip()]
    return {_domain(zone) if zone else "": most for zone, _, most in (part.rpartition("=") for part in parts)}


MostAnswers = Annotated[dict[str, Annotated[int, Field(ge=1, le=65535)]], NoDecode, BeforeValidator(_most_answers)]


class Settings(EnvSettings):
    host: Addresses = Field(("127.0.0.1",), min_length=1)
    port: Port = 3100
    dns_host: Addresses = ()  # empty: HOST's value
    dns_port: Port = 8600
    dns_domain: Domains = Field(("svc.local",), min_length=1)
    dns_ttl_seconds: DnsSeconds = 5
    dns_negative_ttl_seconds: DnsSeconds = 2
    dns_max_answers: MostAnswers = Field({})  # empty: all
    dns_server_id: Annotated[str, AfterValidator(_server_id)] = Field(
        default_factory=lambda: socket.gethostname()[:MAX_SERVER_ID]
    )
    dns_require_cookies: bool = False
    dns_rate_per_answer: int = Field(PER_ANSWER, ge=0, le=1_000_000)
    dns_rate_per_prefix: int = Field(PER_PREFIX, ge=0, le=1_000_000)
    dns_rate_slip: int = Field(SLIP, ge=0, le=255)
    dns_rate_exempt: Annotated[tuple[Network, ...], NoDecode, BeforeValidator(split)] = EXEMPT
    dot_port: Annotated[int, Field(ge=0, le=65535)] | None = None  # None: no DNS over TLS
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    http_max_connections: int = Field(8192, ge=16, le=60000)
    http_max_connections_per_address: int = Field(2048, ge=8, le=60000)
    zones_dir: Path = Path("zones")
    engine_url: str = ""
    heartbeat_timeout_seconds: Seconds = 10
    cleanup_interval_seconds: Seconds = 5
    max_instances_per_service: int = Field(10, ge=1, le=1000)
    max_services: int = Field(10_000, ge=1, le=1_000_000)
    max_instances: int = Field(1_000_000, ge=1, le=10_000_000)
    registers_per_second: int = Field(500, ge=0, le=1_000_000)
    brake_percent: int = Field(30, ge=0, le=100)
    brake_max_seconds: Annotated[float, Field(ge=1, le=3600)] = 60
    flap_max_changes: int = Field(6, ge=0, le=100)
    flap_window_seconds: Seconds = 60
    allowed_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(split)] = ()
    allowed_origins: Origins = ("http://localhost:3000", "http://localhost:8080")
    environment: str = Field("development", validation_alias=AliasChoices("ENVIRONMENT", "NODE_ENV"))
    allow_anonymous: bool = False
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"

    @model_validator(mode="after")
    def _tls_whole_or_not_at_all(self) -> Settings:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("TLS_CERT, TLS_KEY: only one of them is set; a certificate needs its key")
        if self.tls_client_ca is not None and self.tls_cert is None:
            raise ValueError(
                "TLS_CLIENT_CA: clients can only be asked for certificates over TLS; set TLS_CERT and TLS_KEY"
            )
        if self.dot_port is not None and self.tls_cert is None:
            raise ValueError("DOT_PORT: DNS over TLS needs a certificate; set TLS_CERT and TLS_KEY")
        return self

    @model_validator(mode="after")
    def _answers_of_zones_that_are_served(self) -> Settings:
        unknown = self.dns_max_answers.keys() - {"", *self.dns_domain}
        if unknown:
            raise ValueError(f"DNS_MAX_ANSWERS: {', '.join(sorted(unknown))} is not in DNS_DOMAIN")
        return self

    @property
    def public_address(self) -> str | None:
        """An address that it listens on and other machines can reach; None when there is none."""
        wide = [ip for ip in (*self.host, *self.dns_addresses) if not ipaddress.ip_address(ip).is_loopback]
        return wide[0] if wide else None

    @property
    def dns_addresses(self) -> tuple[str, ...]:
        return self.dns_host or self.host
