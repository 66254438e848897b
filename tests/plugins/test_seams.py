"""The four seams, reached in a server that is really started: changes, look-ups, routes and middlewares; open and close around them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import dns.rcode
import pytest
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from discovery import app
from discovery.dns.zones.catalog import Lookup
from discovery.plugins import Plugin
from tests.plugins.started import recorders, running, settings


@pytest.fixture
def zones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of zone files; the working folder has no `.env`."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "zones"
    folder.mkdir()
    return folder


async def test_plugins_are_reached_through_every_seam_in_order(zones: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    first, second = recorders(events, "first", "second")
    monkeypatch.setattr(app, "PLUGINS", (first, lambda registry, clock: None, second))
    async with running(settings(zones)) as it:
        assert events == ["first open", "second open"]
        events.clear()

        assert await it.register() == 201
        assert events == [
            "first /register", "second /register", "first registered user-service", "second registered user-service",
        ]  # fmt: skip
        events.clear()

        assert await it.ask("user-service.svc.local") == (dns.rcode.NOERROR, {"10.1.2.3"})
        assert events == ["first lookup", "second lookup"]
        events.clear()

        async with it.session.get(it.http + "/second") as response:
            assert await response.json() == {"plugin": "second", "instances": 1}
        assert events == ["first /second", "second /second"]
        events.clear()
    assert events == ["second close", "first close"]


async def test_a_plugin_can_answer_in_the_registrys_stead(zones: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent(Plugin):
        def lookup(self, inner: Lookup) -> Lookup:
            return lambda request, now: None

        def middlewares(self) -> Iterable[Middleware]:
            @web.middleware
            async def refuse(request: web.Request, handler: Handler) -> web.StreamResponse:
                raise web.HTTPForbidden

            return [refuse]

    monkeypatch.setattr(app, "PLUGINS", (lambda registry, clock: Silent(),))
    async with running(settings(zones)) as it:
        assert await it.register() == 403
        assert await it.ask("user-service.svc.local") == (dns.rcode.REFUSED, set())
