"""TLS for all who listen: the certificate, which can be exchanged while connections go on."""

from __future__ import annotations

import asyncio
import logging
import ssl
from asyncio.sslproto import SSLProtocol
from pathlib import Path
from typing import cast

from discovery.core.errors import DiscoveryError
from discovery.core.log_fields import fields
from discovery.core.metric import Metric, gauge
from discovery.system.certificate import ends_at
from discovery.system.handshakes import Handshakes
from discovery.system.limits import open_files, shares

_log = logging.getLogger("discovery.tls")


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


class Tls:
    """`client_ca`: clients must show a certificate of one of these authorities (mTLS). TlsError when a file cannot be used."""

    def __init__(self, cert: Path, key: Path, client_ca: Path | None = None) -> None:
        self.files = [file for file in (cert, key, client_ca) if file is not None]
        self._cert, self._key, self._client_ca = cert, key, client_ca
        self.context, self._ends_at = self._make()
        self._reloaded = True  # what was read last is in use
        self._reloading = asyncio.Lock()
        self.handshakes = Handshakes(shares(open_files()).handshakes)

    async def reload(self) -> None:
        """For handshakes from now on; a bad file is logged and what was stays."""
        async with self._reloading:  # an older look must not undo a newer one
            try:
                self.context, self._ends_at = await asyncio.to_thread(self._make)
                self._reloaded = True
            except TlsError as error:
                self._reloaded = False
                _log.error(
                    "%s; the certificate stays as it was", error, extra=fields("certificate.failed", file=self._cert)
                )
            else:
                _log.info(
                    "certificate read again from %s", self._cert, extra=fields("certificate.reloaded", file=self._cert)
                )

    def metrics(self) -> list[Metric]:
        return [
            gauge(
                "discovery_certificate_expires_timestamp_seconds",
                "When the certificate ends, seconds since the epoch.",
                lambda: self._ends_at,
            ),
            gauge(
                "discovery_certificate_last_reload_successful",
                "0 while the files that were read last cannot be used: the certificate before them is.",
                lambda: self._reloaded,
            ),
        ]

    def _make(self) -> tuple[ssl.SSLContext, float]:
        """The context, and when its certificate ends (epoch seconds)."""
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
        return context, end
