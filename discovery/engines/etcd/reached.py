"""Who waits for a revision to be applied here."""

from __future__ import annotations

import asyncio


class Reached:
    def __init__(self) -> None:
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    async def wait_for(self, revision: int) -> None:
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((revision, future))
        await future

    def tell(self, revision: int) -> None:
        """Everything up to it is applied."""
        waiting, self._waiting = self._waiting, []
        for wanted, future in waiting:
            if wanted > revision and not future.done():  # done: who waited has given up
                self._waiting.append((wanted, future))
            elif not future.done():
                future.set_result(None)
