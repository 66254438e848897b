"""Serves connections on sockets, with or without TLS, until a graceful end."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from discovery.rest.http import access_log
from discovery.rest.http.connection import Connection
from discovery.rest.http.connections import Connections
from discovery.rest.http.front import Front
from discovery.rest.http.shared import Note, Shared
from discovery.system.listener import Listener
from discovery.system.tls import Tls
from discovery.system.turns import turns
from discovery.system.waiting_octets import WaitingOctets

# Seconds for requests in hand when the process is asked to stop; five are all there are.
SHUTDOWN_SECONDS = 2.0


class Server:
    """`listen`, then `close` once, opened or not. `note`: is told of each request that has come to its end."""

    def __init__(
        self,
        front: Front,
        limits: Connections,
        waiting: WaitingOctets,
        note: Note = access_log.log,
    ) -> None:
        self._front = front
        self._limits = limits
        self._waiting = waiting
        self._note = note
        self._shared: Shared | None = None
        self._listeners: list[Listener] = []

    def listen(self, sock: socket.socket, tls: Tls | None) -> None:
        """On a bound socket, which is closed at the end. In the event loop."""
        if self._shared is None:
            self._shared = Shared(self._front, self._limits, self._waiting, self._note)
        shared = self._shared
        self._listeners.append(Listener(sock, lambda: Connection(shared), tls, self._front.to_plain_http))

    async def close(self) -> None:
        """Requests in hand are answered, for so long as there is time."""
        for listener in self._listeners:
            listener.close()
        if self._shared is not None:
            connections = self._shared.open
            for connection in list(connections):
                await turns().over()
                connection.stop()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._shared.wait_until_all_closed(), SHUTDOWN_SECONDS)
            for connection in list(connections):
                connection.give_up()
