"""TLS for all who listen: the certificate, which can be exchanged while connections go on."""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
from asyncio.sslproto import SSLProtocol, SSLProtocolState, _SSLProtocolTransport
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple, cast

from discovery.core.errors import DiscoveryError, reason_of
from discovery.core.metric import Metric, gauge
from discovery.core.moment import to_the_second
from discovery.core.warning import Concern, one, warning
from discovery.system.budget import Budget
from discovery.system.files import Reloaded
from discovery.system.limits import open_files, shares

_log = logging.getLogger("discovery.tls")

# Between two lines about handshakes that failed.
REFUSED_SECONDS = 10.0


# Octets that are read at a time (RFC 8446 §5.1: a record has 16 KiB), and that may wait in the socket's own transport.
_MOST = 16 * 1024
# Octets of one record of ours. OpenSSL keeps room for a third more than ever waited in it: 5 KiB and not 22, for 3 µs of 16 KiB.
_RECORD = 4 * 1024
# All connections read into this, one after the other: what came is taken out before the next is read. A process has one event loop.
_buffer = bytearray(_MOST)


class TlsTransport(_SSLProtocolTransport):
    """Of asyncio's, `close` forgets the second time what it is about: then `abort` does nothing, and the connection stays."""

    def close(self) -> None:
        if not self.is_closing():
            super().close()


class TlsProtocol(SSLProtocol):
    """asyncio's TLS, which takes two thirds of the time of uvloop's, with less kept for each connection: 256 KiB to read, and 64 behind
    what the connection knows to be unsent. A connection takes 35 KiB, of which OpenSSL has 33; one that reads nothing 25 more.
    """

    max_size = _MOST

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._ssl_buffer, self._ssl_buffer_view = _buffer, memoryview(_buffer)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).set_write_buffer_limits(high=_MOST)
        super().connection_made(transport)

    def _get_app_transport(self) -> TlsTransport:
        if not isinstance(self._app_transport, TlsTransport):
            self._app_transport = TlsTransport(self._loop, self)
        return self._app_transport

    def eof_received(self) -> None:
        """Who is not read at the moment would stay half open for ever: asyncio says nothing any more to who has ended its side."""
        super().eof_received()
        if self._app_reading_paused and self._transport is not None:  # type: ignore[attr-defined]  # typeshed leaves it out
            cast("asyncio.Transport", self._transport).abort()

    def _write_appdata(self, list_of_data: list[bytes]) -> None:
        if self._state is not SSLProtocolState.WRAPPED:  # type: ignore[attr-defined]  # typeshed leaves it out
            return  # what comes too late is dropped by asyncio as well, but after five times with a line in the log
        for data in list_of_data:
            for at in range(0, len(data), _RECORD):
                super()._write_appdata([data[at : at + _RECORD]])

    def _get_write_buffer_size(self) -> int:
        """With what waits in the transport, which says when that has gone. Else as much again would wait here."""
        size: int = super()._get_write_buffer_size()  # type: ignore[misc]  # typeshed leaves it out
        if self._ssl_writing_paused:  # type: ignore[attr-defined]  # likewise
            size += cast("asyncio.Transport", self._transport).get_write_buffer_size()
        return size

    def _process_outgoing(self) -> None:
        """Not into a transport that has failed and tells it in a moment: uvloop's raise an error."""
        if self._transport is not None and not self._transport.is_closing():
            super()._process_outgoing()  # type: ignore[misc]  # typeshed leaves it out


# Seconds. Certificates are renewed 30 days before their end (RFC 8555's clients).
_ENDS_SOON = 14 * 86400.0


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
        self.load()
        # In hand, of all listeners together: whoever connects and says nothing would hold its place for HANDSHAKE_SECONDS.
        self.handshakes = Budget[asyncio.Task[Any]](shares(open_files()).handshakes, asyncio.Task.cancel)
        self._unsaid = 0  # handshakes that failed, and no line has told of
        self._says_at = 0.0

    @property
    def context(self) -> ssl.SSLContext:
        """For handshakes from now on."""
        return self.value.context

    def refused(self, address: str, error: ssl.SSLError) -> None:
        """The log says so: one line in REFUSED_SECONDS, for whoever fails may do so a thousand times a second."""
        self._unsaid += 1
        if monotonic() >= self._says_at:
            reason = getattr(error, "verify_message", None) or (error.reason or str(error)).replace("_", " ").lower()
            more = f", and {self._unsaid - 1} more since the last of these lines" if self._unsaid > 1 else ""
            _log.warning(
                "the TLS handshake of %(client)s failed: %(reason)s%(_more)s",
                {"event": "tls.refused", "client": address, "count": self._unsaid, "reason": reason, "_more": more},
            )
            self._unsaid, self._says_at = 0, monotonic() + REFUSED_SECONDS

    def metrics(self) -> list[Metric]:
        return [
            gauge(
                "discovery_certificate_expires_timestamp_seconds",
                "When the certificate ends, seconds since the epoch.",
                lambda: self.value.ends_at,
            ),
        ]

    def concerns(self, wall: Callable[[], float]) -> list[Concern]:
        def ends() -> str | None:
            left = self.value.ends_at - wall()
            if left > _ENDS_SOON:
                return None
            when = f"{'ended' if left < 0 else 'ends'} at {to_the_second(self.value.ends_at)}"
            return f"the certificate {self._cert} {when}: clients refuse it from then on; replace the files of TLS_CERT and TLS_KEY"

        return [warning("certificate_expires", one(ends))]

    def _make(self) -> Made:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["dot", "http/1.1"])  # RFC 9103 §7.1 insists on the former
        try:
            context.load_cert_chain(self._cert, self._key)
            end = ends_at(self._cert)
        except (OSError, ValueError) as error:
            reason = reason_of(error)
            raise TlsError(f"{self._cert} with {self._key} cannot be used: {reason}") from None
        if self._client_ca is not None:
            try:
                context.load_verify_locations(self._client_ca)
            except (OSError, ssl.SSLError) as error:
                raise TlsError(f"{self._client_ca} cannot be used: {reason_of(error)}") from None
            context.verify_mode = ssl.CERT_REQUIRED
        return Made(context, end)


# Python's ssl tells when a peer's certificate ends, not when one's own does, so the few octets are read here.
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.S)
_SEQUENCE, _VERSION, _UTC_TIME = 0x30, 0xA0, 0x17  # X.690 tags


def ends_at(file: Path) -> float:
    """Epoch seconds: notAfter of the first certificate of a PEM file, which is the server's own. OSError, ValueError."""
    found = _PEM.search(file.read_bytes())
    if found is None:
        raise ValueError(f"{file} has no certificate")
    try:
        return _not_after(ssl.PEM_cert_to_DER_cert(found[0].decode("ascii")))
    except IndexError:
        raise ValueError(f"{file} has a certificate that is cut short") from None


def _not_after(der: bytes) -> float:
    """RFC 5280 §4.1: Certificate and TBSCertificate are sequences; [version], serial, signature, issuer, then the validity."""
    _, at, _ = _element(der, 0)
    _, at, _ = _element(der, at)
    tag, _, end = _element(der, at)
    if tag == _VERSION:
        _, _, end = _element(der, end)
    for _ in ("signature", "issuer"):
        _, _, end = _element(der, end)
    tag, at, _ = _element(der, end)
    if tag != _SEQUENCE:
        raise ValueError("the certificate has no validity where it should be")
    _, _, end = _element(der, at)  # notBefore
    tag, at, end = _element(der, end)
    return _seconds(tag, der[at:end].decode("ascii"))


def _element(der: bytes, at: int) -> tuple[int, int, int]:
    """Tag, where the contents begin, and where they end (X.690 §8.1)."""
    tag, length, start = der[at], der[at + 1], at + 2
    if length & 0x80:
        octets = length & 0x7F
        length = int.from_bytes(der[start : start + octets])
        start += octets
    if start + length > len(der):
        raise IndexError
    return tag, start, start + length


def _seconds(tag: int, text: str) -> float:
    """RFC 5280 §4.1.2.5: UTCTime up to 2049, of two digits for the year; GeneralizedTime from then on."""
    if tag == _UTC_TIME:
        text = ("19" if text >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()
