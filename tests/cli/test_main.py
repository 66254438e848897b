"""The `discovery` command: its subcommands, and which exit status is whose."""

from __future__ import annotations

from pathlib import Path

import pytest

import discovery
from discovery import cli
from discovery.core.errors import DiscoveryError
from discovery.settings import Settings


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The names of the commands that ran, in an empty folder and with no setting set."""
    monkeypatch.chdir(tmp_path)
    for name in (*Settings.model_fields, "NODE_ENV"):
        monkeypatch.delenv(name.upper(), raising=False)
    return []


def test_without_a_command_it_serves(monkeypatch: pytest.MonkeyPatch, started: list[str]) -> None:
    def run() -> int:
        started.append("serve")
        return 0

    monkeypatch.setitem(cli.COMMANDS, "serve", cli.Command("", lambda arguments: run()))
    assert cli.main([]) == 0
    assert cli.main(["serve"]) == 0
    assert started == ["serve", "serve"]


def test_what_goes_wrong_while_running_is_said_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run() -> int:
        raise DiscoveryError("The disk is full")

    monkeypatch.setitem(cli.COMMANDS, "serve", cli.Command("", lambda arguments: run()))
    assert cli.main([]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "The disk is full" in captured.err
    assert "Traceback" not in captured.err


@pytest.mark.usefixtures("started")
def test_a_bad_setting_ends_it_with_2_before_anything_opens(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PORT", "80x")
    assert cli.main(["serve"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "PORT" in captured.err
    assert "80x" in captured.err


@pytest.mark.parametrize("arguments", [["nonsense"], ["--nonsense"], ["serve", "more"]])
def test_wrong_arguments_end_it_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert "discovery" in capsys.readouterr().err


def test_it_tells_its_version_and_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--version"], ["--help"]):
        with pytest.raises(SystemExit) as ended:
            cli.main(arguments)
        assert ended.value.code == 0
    said = capsys.readouterr().out
    assert discovery.__version__ in said
    assert all(name in said for name in cli.COMMANDS)
