"""The addresses that a host name has now, as this host's own resolver (hosts file, resolv.conf) says. Asked anew for each probe, which then
goes to an address that was looked at: between a look and a connection no name is asked (DNS rebinding).
"""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from typing import Any

from discovery.plugins.check.probe import CannotProbe, NoAddress
from discovery.system.threads import start_in_daemon_thread

# A look-up blocks its thread, for as long as a resolver is silent. Those beyond wait for a place.
MAX_LOOKUPS = 16
# Who says so may know it in a moment; it is no answer.
_NOT_NOW = (socket.EAI_AGAIN, socket.EAI_FAIL, socket.EAI_MEMORY, socket.EAI_SYSTEM)


class Lookups:
    def __init__(self) -> None:
        self._places = asyncio.Semaphore(MAX_LOOKUPS)

    async def addresses(self, name: str, seconds: float) -> list[str]:
        """At least one, the preferred first. NoAddress; CannotProbe when the resolver cannot tell, which is no fault of the instance."""
        try:
            async with asyncio.timeout(seconds):
                await self._places.acquire()
                ask = partial(socket.getaddrinfo, name, None, type=socket.SOCK_STREAM)
                _, answer = start_in_daemon_thread(ask)
                answer.add_done_callback(self._ended)
                found = await asyncio.shield(answer)  # a thread keeps its place for as long as it blocks
        except TimeoutError:
            raise CannotProbe(f"no resolver answered for {name} within {seconds:g} s") from None
        except socket.gaierror as error:
            if error.errno in _NOT_NOW:
                raise CannotProbe(f"{name} could not be looked up: {error.strerror}") from None
            raise NoAddress(name) from None
        return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))

    def _ended(self, answer: asyncio.Future[Any]) -> None:
        self._places.release()
        if not answer.cancelled():
            answer.exception()  # nobody may wait for it any more
