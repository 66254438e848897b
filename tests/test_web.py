"""The HTTP face as it is put together: how many connections it takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from discovery import web
from discovery.app import Server
from tests.plugins.started import settings


def test_no_more_connections_are_taken_than_there_can_be_files_and_the_log_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(web, "open_files", lambda: 1024)
    limits = Server(settings(tmp_path))._web._connections
    assert (limits.most, limits._most_of_prefix) == (256, 256)
    [line] = [record.getMessage() for record in caplog.records if record.name == "discovery.web"]
    assert "HTTP_MAX_CONNECTIONS is 8192" in line
    assert "1024 files" in line
    assert "256 connections" in line


def test_where_there_is_room_the_setting_counts_and_nothing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(web, "open_files", lambda: 65536)
    limits = Server(settings(tmp_path))._web._connections
    assert (limits.most, limits._most_of_prefix) == (8192, 2048)
    assert not [record for record in caplog.records if record.name == "discovery.web"]
