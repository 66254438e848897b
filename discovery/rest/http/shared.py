"""What the connections of a server share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from discovery.rest.api.requests import Request
from discovery.rest.http.bodies import Bodies
from discovery.rest.http.connections import Connections
from discovery.rest.http.front import Front
from discovery.rest.http.heads import Heads
from discovery.system.turns import turns
from discovery.system.waiting_octets import WaitingOctets

if TYPE_CHECKING:
    from discovery.rest.http.connection import Connection

# A request with the status of its answer, the client's address, and the seconds from one to the other. Status 0: the client left before.
Note = Callable[[Request, str, float], None]


class Shared:
    """To be made in the event loop."""

    def __init__(self, front: Front, limits: Connections, waiting: WaitingOctets, note: Note) -> None:
        self.front = front
        self.limits = limits
        self.waiting = waiting
        self.note = note
        self.bodies = Bodies()
        self.heads = Heads()
        self.turns = turns()
        self.open: set[Connection] = set()
        self._all_closed = asyncio.Event()

    def closed(self, connection: Connection) -> None:
        self.open.discard(connection)
        if not self.open:
            self._all_closed.set()

    async def wait_until_all_closed(self) -> None:
        self._all_closed.clear()
        if self.open:
            await self._all_closed.wait()
