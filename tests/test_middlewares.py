"""Whoever wants to see every request does: a plugin's middleware, and the request log."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from aiohttp import web

from discovery import app
from discovery.rest.http.exchange import Exchange
from tests.plugins.started import ZONE, Running, recorders, running, settings
from tests.rest.wire import LAST, RESOLVE, heartbeat, talk


@pytest.fixture(name="through_aiohttp")
def _through_aiohttp(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    targets: list[str] = []
    begin = Exchange.begin

    def begun(self: Exchange, server: web.Server) -> None:
        targets.append(self.request.target)
        begin(self, server)

    monkeypatch.setattr(Exchange, "begin", begun)
    return targets


@pytest.fixture(name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "svc.local.zone").write_text(ZONE.format(ip="10.0.0.1"))
    return tmp_path


async def beat_and_resolve(it: Running) -> None:
    await it.register(ip="127.0.0.1")
    await talk(int(it.http.rpartition(":")[2]), heartbeat(), RESOLVE, LAST)


async def test_a_plugins_middleware_sees_every_request(
    through_aiohttp: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    monkeypatch.setattr(app, "PLUGINS", recorders(events, "watcher"))
    async with running(settings(folder)) as it:
        await beat_and_resolve(it)
    for path in ("/register", "/heartbeat", "/resolve/user-service"):
        assert f"watcher {path}" in events
        assert path in through_aiohttp


@pytest.mark.parametrize(("level", "lines"), [(logging.DEBUG, 2), (logging.INFO, 0)])
async def test_the_log_shows_heartbeats_and_resolves_at_debug_and_needs_no_aiohttp_for_that(
    through_aiohttp: list[str], folder: Path, caplog: pytest.LogCaptureFixture, level: int, lines: int
) -> None:
    caplog.set_level(level, "discovery.requests")
    async with running(settings(folder)) as it:
        await beat_and_resolve(it)
    assert through_aiohttp == ["/instances/user-1"]
    logged = [record.getMessage() for record in caplog.records if record.name == "discovery.requests"]
    assert sum("/heartbeat" in line or "/resolve" in line for line in logged) == lines
