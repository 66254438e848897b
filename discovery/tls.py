"""TLS for all who listen: the certificate, which can be exchanged while connections go on, and connections that are bounded before
their handshake, not after it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from discovery.core.errors import DiscoveryError

_log = logging.getLogger("discovery.tls")

# A handshake is two round trips and a millisecond of work.
HANDSHAKE_SECONDS = 5.0
# In hand at a time, in all and from one address: whoever connects and says nothing holds a place for HANDSHAKE_SECONDS.
MAX_HANDSHAKES = 2048
MAX_HANDSHAKES_PER_ADDRESS = 1024
# Connections taken from the backlog in one turn of the event loop.
_PER_TURN = 32


class TlsError(DiscoveryError):
    def __init__(self, reason: str) -> None:
        super().__init__(f"TLS_CERT, TLS_KEY, TLS_CLIENT_CA: {reason}")


class Tls:
    """`client_ca`: clients must show a certificate of one of these authorities (mTLS). TlsError when a file cannot be used."""

    def __init__(self, cert: Path, key: Path, client_ca: Path | None = None) -> None:
        self.files = [file for file in (cert, key, client_ca) if file is not None]
        self._cert, self._key, self._client_ca = cert, key, client_ca
        self.context = self._make()

    async def reload(self) -> None:
        """For handshakes from now on; a bad file is logged and what was stays."""
        try:
            self.context = await asyncio.to_thread(self._make)
        except TlsError as error:
            _log.error("%s; the certificate stays as it was", error)
        else:
            _log.info("certificate read again from %s", self._cert)

    def _make(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["dot", "http/1.1"])  # RFC 9103 §7.1 insists on the former
        try:
            context.load_cert_chain(self._cert, self._key)
        except (OSError, ssl.SSLError) as error:
            raise TlsError(f"{self._cert} with {self._key} cannot be used: {error.strerror or error}") from None
        if self._client_ca is not None:
            try:
                context.load_verify_locations(self._client_ca)
            except (OSError, ssl.SSLError) as error:
                raise TlsError(f"{self._client_ca} cannot be used: {error.strerror or error}") from None
            context.verify_mode = ssl.CERT_REQUIRED
        return context


class TlsListener:
    """Accepts connections of one listening, non-blocking socket, which it owns, and gives each that has shaken hands to a protocol."""

    def __init__(self, sock: socket.socket, tls: Tls, factory: Callable[[], asyncio.BaseProtocol]) -> None:
        self._sock = sock
        self._tls = tls
        self._factory = factory
        self._handshakes: set[asyncio.Task[None]] = set()
        self._by_address: Counter[str] = Counter()
        self.refused = 0
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock, self._accept)

    def close(self) -> None:
        self._loop.remove_reader(self._sock)
        self._sock.close()
        for task in self._handshakes:
            task.cancel()

    async def wait_closed(self) -> None:
        await asyncio.gather(*self._handshakes, return_exceptions=True)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # none left; or it was gone before it was taken; or there are no files left
            for _ in range(_PER_TURN):
                connection, (address, *_) = self._sock.accept()
                connection.setblocking(False)
                self._begin(connection, address)

    def _begin(self, connection: socket.socket, address: str) -> None:
        full = len(self._handshakes) >= MAX_HANDSHAKES
        if full or self._by_address[address] >= MAX_HANDSHAKES_PER_ADDRESS:
            self.refused += 1
            connection.close()
            return
        self._by_address[address] += 1
        task = self._loop.create_task(self._shake_hands(connection))
        self._handshakes.add(task)
        task.add_done_callback(lambda task: self._end(task, address))

    async def _shake_hands(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(
                self._factory, connection, ssl=self._tls.context, ssl_handshake_timeout=HANDSHAKE_SECONDS
            )
        except (OSError, ssl.SSLError):  # what strangers send
            connection.close()

    def _end(self, task: asyncio.Task[None], address: str) -> None:
        self._handshakes.discard(task)
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]
        if not task.cancelled() and task.exception() is not None:
            _log.error("a TLS connection failed", exc_info=task.exception())
