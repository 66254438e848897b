"""`discovery watch [NAME]`: services, or one service's instances, as they are and as they change. It polls nothing: events say when
to look again. With `-o json` or off a terminal it prints once and ends."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from discovery.cli.connection import Filters, all_services, ask, one_service
from discovery.cli.events import line, query
from discovery.cli.get import INSTANCE, SERVICE
from discovery.cli.output import Column, Format, Row, cell, on_a_terminal, put_rows, show, table
from discovery.client import Connected, Disconnected, Event, Refused, RegistryClient, RegistryError, Reset
from discovery.client import events as follow

if TYPE_CHECKING:
    from rich.console import RenderableType

# The newest changes, below the table.
_CHANGES = 8
# Seconds between two looks where nothing has changed: the ages of heartbeats go on.
_EVERY = 5.0


def watch(
    name: Annotated[str | None, Parameter(help="of a service; all if it is not given")] = None,
    /,
    *,
    filters: Filters | None = None,
    output: Format = "table",
) -> None:
    view = _View(name, filters or Filters())
    if on_a_terminal(output):
        ask(lambda registry: view.follow(registry, output == "wide"))
        return
    ask(view.read)
    put_rows(view.rows, view.columns, output, name=view.key, whole=view.found, empty="nothing is registered")


class _View:
    """What was read last, the newest changes, and how the connection is."""

    def __init__(self, name: str | None, filters: Filters) -> None:
        self._name = name
        self._filters = filters
        self._changes: deque[str] = deque(maxlen=_CHANGES)
        self._state = "connecting"
        self.found: Any = []
        self.rows: Sequence[Row] = ()
        self.columns: tuple[Column, ...] = SERVICE if name is None else INSTANCE
        self.key = "service" if name is None else "id"

    async def read(self, registry: RegistryClient) -> None:
        if self._name is None:
            self.found = self.rows = [each async for each in all_services(registry, self._filters.pairs())]
        else:
            self.found = await one_service(registry, self._name)
            self.rows = self.found["instances"]

    async def follow(self, registry: RegistryClient, wide: bool) -> None:
        """Until Ctrl-C. A server that goes away is waited for; what it said last stays on the screen."""
        await self._read_if_there(registry)
        changed = asyncio.Event()

        async def draw(width: int, height: int) -> RenderableType:
            await self._read_if_there(registry)
            return self._screen(wide, height)

        tasks = [
            asyncio.create_task(self._listen(registry, changed)),
            asyncio.create_task(show(draw, changed, _EVERY)),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self, registry: RegistryClient, changed: asyncio.Event) -> None:
        services = () if self._name is None else (self._name,)
        async for item in follow(registry, **query(self._filters, services)):
            match item:
                case Event(content=content):
                    self._changes.append(line(content))
                case Connected(url=url):
                    self._state = f"connected to {url}"
                case Disconnected(reason=reason):
                    self._state = f"disconnected: {reason}; below is what was known last"
                case Reset():
                    self._changes.append("some changes were missed")
            changed.set()

    async def _read_if_there(self, registry: RegistryClient) -> None:
        try:
            await self.read(registry)
        except RegistryError as error:
            if isinstance(error, Refused) and error.code == "SERVICE_UNKNOWN":  # yet, or any more
                self.found, self.rows = {}, []
            else:
                self._state = f"disconnected: {error}"

    def _screen(self, wide: bool, height: int) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        room = max(1, height - len(self._changes) - 4)
        shown = [column for column in self.columns if wide or not column.wide]
        more = f" (the first {room} of {len(self.rows)})" if len(self.rows) > room else ""
        what = "services" if self._name is None else cell(self._name)
        head = Text(f"{what}{more}: {cell(self._state)}", style="dim", no_wrap=True, overflow="ellipsis")
        changes = [Text(each, style="dim", no_wrap=True, overflow="ellipsis") for each in self._changes]
        return Group(head, table(self.rows[:room], shown), Text(), *changes)
