"""TLS for all who listen: the certificate, which can be exchanged while connections go on, and connections that are bounded before
their handshake, not after it.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

from discovery.core.address import client_prefix
from discovery.core.errors import DiscoveryError
from discovery.core.log_fields import fields
from discovery.core.metric import Metric, gauge
from discovery.system import in_clear
from discovery.system.certificate import ends_at

_log = logging.getLogger("discovery.tls")

# A handshake is two round trips and a millisecond of work.
HANDSHAKE_SECONDS = 5.0
# In hand at a time, in all and of one client prefix; beyond, the oldest of that prefix, or of the one that has most, is given up, for
# whoever connects and says nothing would hold its place for HANDSHAKE_SECONDS.
MAX_HANDSHAKES = 2048
MAX_HANDSHAKES_OF_PREFIX = 1024
# Connections taken from the backlog in one turn of the event loop.
_PER_TURN = 32
# What accept() says when there is no room for a connection, and seconds until it is asked again: the socket stays readable meanwhile.
_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_PAUSE_SECONDS = 1.0


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


class TlsListener:
    """Accepts connections of one listening, non-blocking socket, which it owns, and gives each that has shaken hands to a protocol.

    `to_http`: what a client is told that speaks HTTP without TLS; None: nothing.
    """

    def __init__(
        self,
        sock: socket.socket,
        tls: Tls,
        factory: Callable[[], asyncio.BaseProtocol],
        to_http: Callable[[], bytes] | None = None,
    ) -> None:
        self._sock = sock
        self._tls = tls
        self._factory = factory
        self._to_http = to_http
        self._handshakes: dict[str, dict[asyncio.Task[None], None]] = {}  # by client prefix, the oldest first
        self._count = 0
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        self._listen()

    def close(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._sock)
        self._sock.close()
        for task in self._tasks():
            task.cancel()

    async def wait_closed(self) -> None:
        await asyncio.gather(*self._tasks(), return_exceptions=True)

    def _tasks(self) -> list[asyncio.Task[None]]:
        return [task for tasks in self._handshakes.values() for task in tasks]

    def _listen(self) -> None:
        self._pause = None
        self._loop.add_reader(self._sock, self._accept)

    def _accept(self) -> None:
        try:
            for _ in range(_PER_TURN):
                connection, (address, *_) = self._sock.accept()
                connection.setblocking(False)
                self._begin(connection, address)
        except OSError as error:  # else none is left, or it was gone before it was taken
            if error.errno in _NO_ROOM:
                _log.error(
                    "no TLS connection can be accepted: %s; the next try is in %g s",
                    error.strerror,
                    _PAUSE_SECONDS,
                    extra=fields("tls.not_accepting"),
                )
                self._loop.remove_reader(self._sock)
                self._pause = self._loop.call_later(_PAUSE_SECONDS, self._listen)

    def _begin(self, connection: socket.socket, address: str) -> None:
        name = client_prefix(address)
        if len(self._handshakes.get(name, ())) >= MAX_HANDSHAKES_OF_PREFIX:
            self._give_up(name)
        elif self._count >= MAX_HANDSHAKES:
            self._give_up(max(self._handshakes, key=lambda each: len(self._handshakes[each])))
        task = self._loop.create_task(self._shake_hands(connection))
        self._handshakes.setdefault(name, {})[task] = None
        self._count += 1
        task.add_done_callback(lambda task: self._end(task, name))

    def _give_up(self, name: str) -> None:
        """On the oldest of a client prefix."""
        oldest = next(iter(self._handshakes[name]))
        self._forget(oldest, name)
        oldest.cancel()

    def _forget(self, task: asyncio.Task[None], name: str) -> None:
        tasks = self._handshakes.get(name, {})
        if task in tasks:
            del tasks[task]
            self._count -= 1
            if not tasks:
                del self._handshakes[name]

    async def _shake_hands(self, connection: socket.socket) -> None:
        try:
            async with asyncio.timeout(HANDSHAKE_SECONDS):
                if self._to_http is not None and await in_clear.speaks_http(connection):
                    await in_clear.answer(connection, self._to_http)
                    connection.close()
                    return
                await self._loop.connect_accepted_socket(
                    self._factory, connection, ssl=self._tls.context, ssl_handshake_timeout=HANDSHAKE_SECONDS
                )
        except (OSError, ssl.SSLError):  # what strangers send; TimeoutError is one
            connection.close()
        except asyncio.CancelledError:
            connection.close()
            raise

    def _end(self, task: asyncio.Task[None], name: str) -> None:
        self._forget(task, name)
        if not task.cancelled() and task.exception() is not None:
            _log.error("a TLS connection failed", exc_info=task.exception(), extra=fields("tls.failed"))
