"""What systemd is told, on the socket that it names; and that nothing happens where it did not start us."""

from __future__ import annotations

import logging
import socket
from pathlib import Path

import pytest

from discovery.cli.server import notify
from tests.stories.process import LIMIT, running


@pytest.mark.parametrize("form", ["a path", "an abstract name"])
async def test_it_is_told_in_one_datagram(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, form: str) -> None:
    where = str(tmp_path / "notify") if form == "a path" else f"@discovery-test-{tmp_path}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(where.replace("@", "\0", 1))
        systemd.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", where)
        notify("READY=1")
        notify("STOPPING=1")
        assert [systemd.recv(100), systemd.recv(100)] == [b"READY=1", b"STOPPING=1"]


@pytest.mark.parametrize("where", [None, ""])
def test_nothing_happens_without_systemd(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, where: str | None
) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    if where is not None:
        monkeypatch.setenv("NOTIFY_SOCKET", where)
    notify("READY=1")
    assert caplog.records == []


def test_one_who_does_not_listen_is_logged_and_no_error(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    notify("READY=1")
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.WARNING, "systemd cannot be told READY=1: No such file or directory")
    ]


def test_systemd_is_told_when_it_is_ready_and_when_it_stops(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(LIMIT)
        with running(NOTIFY_SOCKET=str(tmp_path / "notify")) as server:
            assert systemd.recv(100) == b"READY=1"
            assert server.stop() == 0
            assert systemd.recv(100) == b"STOPPING=1"
