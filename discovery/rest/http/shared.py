"""What the connections of a server share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from discovery.rest.api.requests import Request
from discovery.rest.http.connections import Connections
from discovery.rest.http.front import Front
from discovery.rest.http.heads import Heads
from discovery.system.budget import Budget
from discovery.system.turns import turns
from discovery.system.waiting_octets import WaitingOctets

if TYPE_CHECKING:
    from discovery.rest.http.connection import Connection
    from discovery.rest.http.receiving import Receiving

# A request with the status of its answer, the client's address, and the seconds from one to the other. Status 0: the client left before.
Note = Callable[[Request, str, float], None]
# Octets of all bodies in hand, but for those of at most SMALL, heartbeats among them.
MAX_BODIES = 64 * 1024 * 1024
SMALL = 8 * 1024


def bodies() -> Budget[Receiving]:
    """Large ones, until their requests are answered. The oldest that is still being sent goes: uploads that stall keep nobody out, not even
    those of the same address that send theirs at once. What has come whole is worked on, so it counts but stays.
    """
    return Budget(MAX_BODIES, lambda holder: holder.give_up_body(), lambda holder: not holder.body_is_whole)


class Shared:
    """To be made in the event loop."""

    def __init__(self, front: Front, limits: Connections, waiting: WaitingOctets, note: Note) -> None:
        self.front = front
        self.limits = limits
        self.waiting = waiting
        self.note = note
        self.bodies = bodies()
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
