"""Optional features, one folder each with its README; `app.PLUGINS` lists them in order and none knows another.

A plugin reaches the server through the seams below and nowhere else. The base class is the null plugin: a feature overrides
what it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Middleware

from discovery.core.change import Change
from discovery.dns.server.responder import Respond
from discovery.dns.zones.catalog import Lookup
from discovery.dns.zones.zone import Zone
from discovery.rest.guard.admission import Admit
from discovery.store.engine import Engine
from discovery.store.registry import Registry


class Plugin:
    # Whether nobody can write over HTTP without a right to it; then the server may listen where strangers are.
    guards = False
    # Whether `lookup` answers every client alike about names in our zones. Only then may those answers be kept ready and given
    # to the next client without asking again; a plugin that overrides `lookup` and leaves this False turns that off, for
    # all clients or, if it overrides `same_for`, for those.
    same_for_all = False

    def engine(self, inner: Engine) -> Engine:
        """The engine with this feature in front of it."""
        return inner

    def changed(self, change: Change) -> None:
        """Every visible change, in order, in the middle of the write: never blocks, raises or writes."""

    def lookup(self, inner: Lookup) -> Lookup:
        """The look-up with this feature in front of it."""
        return inner

    def same_for(self, client: str) -> bool:
        """Whether `lookup` answers this client, always, as it answers nearly all. Asked once for a client, and remembered."""
        return self.same_for_all

    def respond(self, inner: Respond) -> Respond:
        """What is done with the messages that are not on the hot path, with this feature in front of it."""
        return inner

    def follow(self, zones: Sequence[Zone]) -> None:
        """The zones that are served from now on: before `open`, and whenever they are read anew."""

    def recurses(self, client: str) -> bool:
        """Whether names outside our zones are answered for this client, so that its replies have RA set."""
        return False

    def admit(self, inner: Admit) -> Admit:
        """Who is let in over HTTP, with this feature in front of it."""
        return inner

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        return ()

    def middlewares(self) -> Iterable[Middleware]:
        return ()

    def stats(self) -> Mapping[str, Any]:
        """What it adds to GET /stats, each under a name of its own, as plain JSON."""
        return {}

    async def open(self, engine: Engine) -> None:
        """Before anything is restored, and before any socket opens. `engine`: for its writes, with all features in front."""

    async def reload(self) -> None:
        """What SIGHUP asks for: files read again. Never raises; what is bad is logged and stays as it was."""

    async def close(self) -> None:
        """After every socket has closed."""


# Reads its own settings; None when the feature is off. The clock is the registry's (monotonic seconds).
Factory = Callable[[Registry, Callable[[], float]], "Plugin | None"]
