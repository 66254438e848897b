"""TLS for all who listen: the certificate, which can be exchanged while connections go on."""

from __future__ import annotations

import asyncio
import ssl
from asyncio.sslproto import SSLProtocol
from pathlib import Path
from typing import NamedTuple, cast

from discovery.core.errors import DiscoveryError
from discovery.core.metric import Metric, gauge
from discovery.system.certificate import ends_at
from discovery.system.files import Reloaded
from discovery.system.handshakes import Handshakes
from discovery.system.limits import open_files, shares

# Octets that one connection reads at a time (RFC 8446 §5.1: a record has 16 KiB), and that may wait in the socket's own transport.
_READ, _UNSENT = 16 * 1024, 4 * 1024


class TlsProtocol(SSLProtocol):
    """asyncio's TLS, which takes two thirds of the time of uvloop's, with less kept for each connection: 256 KiB to read, and 64 behind
    what the connection knows to be unsent.
    """

    max_size = _READ

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).set_write_buffer_limits(high=_UNSENT)
        super().connection_made(transport)

    def _process_outgoing(self) -> None:
        """Not into a transport that has failed and tells it in a moment: uvloop's raise an error."""
        if self._transport is not None and not self._transport.is_closing():
            super()._process_outgoing()  # type: ignore[misc]  # typeshed leaves it out


class TlsError(DiscoveryError):
    def __init__(self, reason: str) -> None:
        super().__init__(f"TLS_CERT, TLS_KEY, TLS_CLIENT_CA: {reason}")


class Made(NamedTuple):
    """`ends_at`: when the certificate does, epoch seconds."""

    context: ssl.SSLContext
    ends_at: float


class Tls(Reloaded[Made]):
    """`client_ca`: clients must show a certificate of one of these authorities (mTLS). TlsError when a file cannot be used."""

    def __init__(self, cert: Path, key: Path, client_ca: Path | None = None) -> None:
        self._cert, self._key, self._client_ca = cert, key, client_ca
        super().__init__("certificate", [file for file in (cert, key, client_ca) if file is not None], self._make)
        self.handshakes = Handshakes(shares(open_files()).handshakes)

    @property
    def context(self) -> ssl.SSLContext:
        """For handshakes from now on."""
        return self.value.context

    def metrics(self) -> list[Metric]:
        return [
            gauge(
                "discovery_certificate_expires_timestamp_seconds",
                "When the certificate ends, seconds since the epoch.",
                lambda: self.value.ends_at,
            ),
            self.metric(),
        ]

    def _make(self) -> Made:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["dot", "http/1.1"])  # RFC 9103 §7.1 insists on the former
        try:
            context.load_cert_chain(self._cert, self._key)
            end = ends_at(self._cert)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise TlsError(f"{self._cert} with {self._key} cannot be used: {reason}") from None
        if self._client_ca is not None:
            try:
                context.load_verify_locations(self._client_ca)
            except (OSError, ssl.SSLError) as error:
                raise TlsError(f"{self._client_ca} cannot be used: {error.strerror or error}") from None
            context.verify_mode = ssl.CERT_REQUIRED
        return Made(context, end)
