"""When there is no fast lane: somebody wants to see every request, a plugin's middleware or the request log."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from discovery import app
from discovery.rest.http.fast import FastLane, Taken
from tests.plugins.started import ZONE, Running, recorders, running, settings
from tests.rest.wire import LAST, RESOLVE, heartbeat, talk


@pytest.fixture(name="taken")
def _taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the requests that the fast lane has answered."""
    taken: list[int] = []
    take = FastLane.take

    def counted(self: FastLane, octets: bytes, address: str) -> Taken:
        answer = take(self, octets, address)
        taken.extend([answer.size] * (answer.reply is not None))
        return answer

    monkeypatch.setattr(FastLane, "take", counted)
    return taken


@pytest.fixture(name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "svc.local.zone").write_text(ZONE.format(ip="10.0.0.1"))
    return tmp_path


async def beat_and_resolve(it: Running) -> None:
    await it.register(ip="127.0.0.1")
    await talk(int(it.http.rpartition(":")[2]), heartbeat(), RESOLVE, LAST)


async def test_a_plugins_middleware_sees_every_request(
    taken: list[int], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    monkeypatch.setattr(app, "PLUGINS", recorders(events, "watcher"))
    async with running(settings(folder)) as it:
        await beat_and_resolve(it)
    assert "watcher /heartbeat" in events
    assert "watcher /resolve/user-service" in events
    assert not taken


@pytest.mark.parametrize(("level", "requests"), [(logging.DEBUG, 0), (logging.INFO, 2)])
async def test_who_logs_every_request_has_no_fast_lane(
    taken: list[int], folder: Path, caplog: pytest.LogCaptureFixture, level: int, requests: int
) -> None:
    caplog.set_level(level, "discovery.requests")
    async with running(settings(folder)) as it:
        await beat_and_resolve(it)
    assert len(taken) == requests
    logged = [record.getMessage() for record in caplog.records if record.name == "discovery.requests"]
    assert any("/heartbeat" in line for line in logged) == (requests == 0)
