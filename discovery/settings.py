"""The server's settings: environment, then `.env`, then the default; read once, at start.

A plugin's or an engine's own settings stand in its folder, under its prefix. The text below each is what `discovery settings` and
`.env.example` say of it (`discovery settings --example > .env.example` writes that file).
"""

from __future__ import annotations

import ipaddress
import re
import socket
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, model_validator
from pydantic_settings import NoDecode

from discovery.core.client_zones import ClientZones, ClientZonesError
from discovery.core.kinds import RegistrySettings
from discovery.core.network import Network
from discovery.dns.message import names
from discovery.dns.server.rate_limit import EXEMPT, PER_ANSWER, PER_PREFIX, SLIP
from discovery.dns.server.replies import MAX_SERVER_ID
from discovery.dns.zones.service_zone import MAX_ORIGIN
from discovery.system.env import EnvSettings, Listed


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


Addresses = Annotated[Listed[Annotated[str, AfterValidator(_address)]], AfterValidator(_flatten)]
Domains = Listed[Annotated[str, AfterValidator(_domain)]]
Origins = Listed[Annotated[str, AfterValidator(_origin)]]
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


def _client_zones(text: str) -> str:
    """What stands in it is checked here; a file when it is read."""
    try:
        client_zones(text)
    except ClientZonesError as error:
        raise ValueError(f"{error}; without any = it is a file of such lines") from None
    return text


def client_zones(text: str) -> ClientZones | Path | None:
    """CLIENT_ZONES: its networks, the file that has them, or None. ClientZonesError."""
    if not text or "=" not in text:
        return Path(text) if text else None
    return ClientZones.read((repr(part.strip()), part) for part in text.split(",") if part.strip())


def read_client_zones(path: Path) -> ClientZones:
    """ClientZonesError."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ClientZonesError(f"CLIENT_ZONES: {path} cannot be read: {error}") from None
    return ClientZones.of_file(path, text)


class Settings(EnvSettings):
    host: Addresses = Field(("127.0.0.1",), min_length=1)
    """Where the REST API listens: addresses, comma separated; localhost is 127.0.0.1 and ::1."""
    port: Port = 3100
    """TCP port of the REST API; 0 takes a free one."""
    dns_host: Addresses = ()
    """Where DNS listens, UDP and TCP: addresses, comma separated. Empty: HOST's value."""
    dns_port: Port = 8600
    """UDP and TCP port of DNS; 0 takes a free one. Clients that cannot be told a port need 53."""
    dns_domain: Domains = Field(("svc.local",), min_length=1)
    """Zones in which services have names, comma separated."""
    dns_ttl_seconds: DnsSeconds = 5
    """Seconds, 0 to 3600: the longest TTL of a live answer. It never lasts longer than the shortest lease in the answer."""
    dns_negative_ttl_seconds: DnsSeconds = 2
    """Seconds that a negative answer may be kept, 0 to 3600."""
    dns_max_answers: MostAnswers = Field({})
    """The most answers in a reply, 1 to 65535, picked by weight: for all zones (3) or by zone (svc.local=3,legacy.local=1). Empty: all."""
    dns_server_id: Annotated[str, AfterValidator(_server_id)] = Field(
        default_factory=lambda: socket.gethostname()[:MAX_SERVER_ID]
    )
    """Text of at most 128 octets: what NSID and id.server say. Empty: the host's name."""
    dns_require_cookies: bool = False
    """true: over UDP, a client that knows cookies must show a valid one (BADCOOKIE tells it how)."""
    dns_rate_per_answer: int = Field(PER_ANSWER, ge=0, le=1_000_000)
    """Replies a second over UDP, 0 to 1000000: of one answer to the clients of one prefix (/24, /56). 0: no limit."""
    dns_rate_per_prefix: int = Field(PER_PREFIX, ge=0, le=1_000_000)
    """Replies a second over UDP, 0 to 1000000: of all answers to the clients of one prefix. 0: no limit."""
    dns_rate_slip: int = Field(SLIP, ge=0, le=255)
    """0 to 255: of so many limited queries one is answered with TC and no records, so that real clients come back over TCP. 0: none is."""
    dns_rate_exempt: Listed[Network] = EXEMPT
    """Networks, comma separated, whose clients have no limit."""
    dot_port: Annotated[int, Field(ge=0, le=65535)] | None = None
    """TCP port of DNS over TLS, on DNS_HOST; needs a certificate. Empty: off. The standard's is 853; 0 takes a free one."""
    tls_cert: Path | None = None
    """PEM file: a certificate with its chain, for DNS over TLS and HTTPS. With it HOST:PORT speaks HTTPS only.
    It is read again when it changes and on SIGHUP; connections that are open stay."""
    tls_key: Path | None = None
    """PEM file: the certificate's key."""
    tls_client_ca: Path | None = None
    """PEM file: clients must show a certificate that one of these authorities has signed (mTLS), on HTTPS and DNS over TLS."""
    http_max_connections: int = Field(8192, ge=16, le=60000)
    """HTTP connections at a time, 16 to 60000, bounded by the limit of open files (`ulimit -n`) less 4,096, or a quarter of it; when there
    are more, the longest silent makes way."""
    http_max_connections_per_address: int = Field(2048, ge=8, le=60000)
    """HTTP connections of one address at a time, 8 to 60000."""
    http_buffers_mb: int = Field(48, ge=1, le=4096)
    """MiB, 1 to 4096, of answers that wait for clients to read them, DNS over TCP among them; with more, connections of whoever holds
    most and reads nothing are closed, never one that has brought a heartbeat within a minute."""
    max_watchers: int = Field(4096, ge=0, le=60000)
    """Long polls and event streams at a time, 0 to 60000, but never more than half of HTTP_MAX_CONNECTIONS; of one client prefix
    half of HTTP_MAX_CONNECTIONS_PER_ADDRESS."""
    zones_dir: Path = Path("zones")
    """Folder of zone files; every *.zone in it is served and read again when it changes."""
    engine_url: str = ""
    """Where the registry is shared with other nodes: etcd://HOST:2379,… (etcds:// with TLS). Empty: nowhere, this process has it alone."""
    heartbeat_timeout_seconds: Seconds = 10
    """Seconds without a heartbeat after which an instance is unhealthy, 1 to 3600. An instance may ask for its own (ttl)."""
    cleanup_interval_seconds: Seconds = 5
    """Seconds between cleanups, 1 to 3600; an unhealthy instance stays listed for at least one interval."""
    max_instances_per_service: int = Field(10, ge=1, le=1000)
    """Instances, 1 to 1000. At the limit an unhealthy one makes way for a new one."""
    face_max_instances: int = Field(1000, ge=1, le=100_000)
    """Instances, 1 to 100000, of a service that has one which came by another registry's API or an import, in place of
    MAX_INSTANCES_PER_SERVICE."""
    max_services: int = Field(10_000, ge=1, le=1_000_000)
    """Services in all, 1 to 1000000; one more gets 507."""
    max_instances: int = Field(1_000_000, ge=1, le=10_000_000)
    """Instances in all, 1 to 10000000; one more gets 507."""
    permanent_allowed: bool = True
    """true: an instance may register without a lease ("lease": "none"), and stays until it is deregistered."""
    permanent_per_token: int = Field(1000, ge=1, le=1_000_000)
    """Instances without a lease, 1 to 1000000, of one token, or of one client's network without tokens; one more gets 409."""
    registers_per_second: int = Field(500, ge=0, le=1_000_000)
    """Registrations a second from one address, 0 to 1000000, twice as many at once; beyond 429. Heartbeats are not counted. 0: no limit."""
    brake_percent: int = Field(30, ge=0, le=100)
    """Percent of a service's instances, 0 to 100: when more fall silent at once (three at least), the network is the likelier cause;
    they are suspect, served behind the healthy ones. 0: never."""
    brake_max_seconds: Annotated[float, Field(ge=1, le=3600)] = 60
    """Seconds for which suspects are believed, 1 to 3600; then a fifth of them is let go each cleanup."""
    flap_max_changes: int = Field(6, ge=0, le=100)
    """Changes of health, 0 to 100: an instance with more in a window is flapping, and served only where nothing better is
    left. 0: never."""
    flap_window_seconds: Seconds = 60
    """Seconds in which FLAP_MAX_CHANGES are counted, 1 to 3600; for as long it must be quiet afterwards."""
    allowed_hosts: Listed[str] = ()
    """Names, comma separated, by which browsers may reach this server besides addresses, names without a dot and those that zone files
    fix. Not those of services: whoever registers one decides where it points."""
    client_zones: Annotated[str, AfterValidator(_client_zones)] = ""
    """Zones of clients, by network (10.1.0.0/16=eu-a,10.2.0.0/16=eu-b), or a file with one NETWORK=ZONE a line, read again when it changes;
    the longest prefix counts. Whoever is in a zone gets its instances first. Empty: all are alike to everybody."""
    zone_min_healthy: int = Field(70, ge=1, le=100)
    """Percent of a zone's known instances, 1 to 100: while fewer are healthy there, as many from elsewhere make up for them."""
    trusted_forwarders: Listed[Network] = ()
    """Networks, comma separated, of resolvers whose EDNS client subnet is believed: their clients' zone counts, not theirs.
    Of no account without CLIENT_ZONES."""
    trusted_proxies: Listed[Network] = ()
    """Networks, comma separated, of proxies whose X-Forwarded-For is believed: the caller is the rightmost address in it that is in none
    of them. Empty: such headers are believed by nothing."""
    allowed_origins: Origins = ("http://localhost:3000", "http://localhost:8080")
    """CORS: exact origins of web pages that may use the API, comma separated."""
    environment: str = Field("development", validation_alias=AliasChoices("ENVIRONMENT", "NODE_ENV"))
    """A name for this installation; NODE_ENV is read too."""
    allow_anonymous: bool = False
    """true: listen on addresses that other machines can reach without a token (API_TOKEN, TOKENS_FILE): anybody there can register."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """debug, info, warning or error. Heartbeats and the questions of programs (resolves, lists, /stats, /metrics) are logged at debug."""
    log_format: Literal["text", "json"] = "text"
    """text for people, json for machines."""

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
    def of_registry(self) -> RegistrySettings:
        """Those that hold for the whole registry, on every node."""
        return RegistrySettings(
            **{name: getattr(self, name) for name in RegistrySettings._fields if hasattr(self, name)}
        )

    @property
    def sets_origins(self) -> bool:
        """Whether ALLOWED_ORIGINS was set, by whoever runs the server."""
        return "allowed_origins" in self.model_fields_set

    @property
    def public_address(self) -> str | None:
        """An address that it listens on and other machines can reach; None when there is none."""
        return _public(*self.host, *self.dns_addresses)

    @property
    def public_http_address(self) -> str | None:
        """The same of the REST API."""
        return _public(*self.host)

    @property
    def dns_addresses(self) -> tuple[str, ...]:
        return self.dns_host or self.host


def _public(*addresses: str) -> str | None:
    return next((ip for ip in addresses if not ipaddress.ip_address(ip).is_loopback), None)
