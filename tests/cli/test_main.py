"""The `discovery` command: its subcommands, and which exit status is whose."""

from __future__ import annotations

import gc
import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import discovery
from discovery import cli
from discovery.cli.commands import COMMANDS, Command
from discovery.core.errors import DiscoveryError
from discovery.settings import Settings
from tests.cli.live import process
from tests.stories.process import LIMIT, ROOT, environment

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def empty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty folder, and no setting set."""
    monkeypatch.chdir(tmp_path)
    for name in (*Settings.model_fields, "NODE_ENV"):
        monkeypatch.delenv(name.upper(), raising=False)


def instead_of_serve(monkeypatch: pytest.MonkeyPatch, run: Callable[[], object]) -> None:
    """The server's process is `run`, and the collector of the tests' own is left alone."""
    monkeypatch.setattr("discovery.cli.server.run", run)
    monkeypatch.setattr(gc, "disable", lambda: None)


def test_what_is_wrong_is_written_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread of the log writes to the same place, and may do so between two."""

    class Pieces(io.StringIO):
        def __init__(self) -> None:
            super().__init__()
            self.written: list[str] = []

        def write(self, text: str) -> int:
            self.written.append(text)
            return len(text)

    pieces = Pieces()
    monkeypatch.setattr(sys, "stderr", pieces)
    assert cli.main(["nonsense"]) == 2
    assert [line[:11] for line in pieces.written] == ["discovery: "]
    assert pieces.written[0].endswith("\n")


def test_without_a_command_it_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    instead_of_serve(monkeypatch, lambda: started.append("serve"))
    assert cli.main([]) == 0
    assert cli.main(["serve"]) == 0
    assert started == ["serve", "serve"]


def test_what_goes_wrong_while_running_is_one_line_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    def run() -> None:
        raise DiscoveryError("The disk\n\x1b[31m is \u202efull")

    instead_of_serve(monkeypatch, run)
    assert cli.main([]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "discovery: The disk\\x0a\\x1b[31m is \\x202efull\n"


@pytest.mark.parametrize(("result", "status"), [(None, 0), (0, 0), (7, 7)])
def test_a_command_may_choose_its_status(monkeypatch: pytest.MonkeyPatch, result: int | None, status: int) -> None:
    monkeypatch.setattr("discovery.cli.deploy.unit", lambda: result)
    assert cli.main(["unit"]) == status


def test_ctrl_c_is_130_and_quiet(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    def run() -> None:
        raise KeyboardInterrupt

    instead_of_serve(monkeypatch, run)
    assert cli.main([]) == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize("arguments", [["serve"], []])
def test_a_bad_setting_ends_it_with_2_before_anything_opens(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured, arguments: list[str]
) -> None:
    monkeypatch.setenv("PORT", "80x")
    assert cli.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("discovery: PORT: ")
    assert "80x" in captured.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nonsense"], "nonsense"),
        (["srve"], 'Did you mean "serve"?'),
        (["--nonsense"], "--nonsense"),
        (["serve", "more"], "more"),
        (["serve", "--prt", "1"], "Did you mean --port?"),
        (["serve", "--port", "many"], "--port"),
        (["settings", "-o", "xml"], "xml"),
        (["backup"], "FILE is missing."),
        (["register", "web", "--port", "1"], "--ip is missing."),
        (["register", "web", "--port", "1", "--ip"], "--ip requires an argument."),
    ],
)
def test_wrong_arguments_end_it_with_2_and_the_way_to_help(arguments: list[str], said: str, capsys: Captured) -> None:
    assert cli.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("discovery: ")
    assert said in captured.err
    assert captured.err.endswith(" --help\n")


def test_it_tells_its_version_and_its_commands(capsys: Captured) -> None:
    for arguments in (["--version"], ["--help"], ["-h"]):
        assert cli.main(arguments) == 0
    said = capsys.readouterr().out
    assert discovery.__version__ in said
    assert all(command.name in said for commands in COMMANDS.values() for command in commands)


@pytest.mark.parametrize(
    "command", [each for commands in COMMANDS.values() for each in commands], ids=lambda each: each.name
)
def test_each_command_has_help_that_explains_each_option(command: Command, capsys: Captured) -> None:
    assert cli.main([command.name, "--help"]) == 0
    said = capsys.readouterr().out
    assert command.text[:40] in said


COMMAND = "import sys; from discovery.cli import main; main(sys.argv[1:])"


def modules_of(*arguments: str, program: str = COMMAND) -> set[str]:
    """What is imported to run this command."""
    done = subprocess.run(
        [sys.executable, "-c", f"{program}; print(*sys.modules, file=sys.stderr)", *arguments],
        cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=LIMIT, check=True,
    )  # fmt: skip
    return set(done.stderr.splitlines()[-1].split())


def test_commands_import_what_they_need_and_no_more() -> None:
    assert not {"rich", "aiohttp", "discovery.app", "discovery.client"} & modules_of("unit")
    assert not {"aiohttp", "pydantic", "discovery.app", "discovery.client"} & modules_of("--help")
    assert not {"rich", "discovery.app"} & modules_of("get", "services", "-o", "name")
    serving = modules_of(program="import sys, discovery.cli, discovery.cli.server")
    assert not {"aiohttp", "cyclopts", "rich", "yaml", "prometheus_client", "discovery.client"} & serving


def test_a_pipe_that_closes_early_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    with open(write, "w") as pipe:
        done = process("unit", stdout=pipe)
    assert (done.returncode, done.stderr) == (0, "")
