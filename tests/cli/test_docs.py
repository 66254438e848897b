"""discovery/docs/cli.md: every example in it is run, in order, against a server of its own, and prints what the page says.

`UPDATE_DOCS=1 pytest tests/cli/test_docs.py` writes the page's outputs anew. What differs from run to run (ids, times, ports) is
compared by its form.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

import discovery
from discovery.cli.commands import COMMANDS
from tests.cli.live import At
from tests.docs.console import BLOCK, examples, form, rewritten
from tests.stories.process import Discovery, running

PAGE = Path(discovery.__file__).parent / "docs" / "cli.md"


class Shell:
    """Runs the page's lines: `discovery …`, perhaps with variables before it and `| head -n N` or `| grep TEXT` behind."""

    def __init__(self, server: Discovery, folder: Path) -> None:
        self._folder = folder
        self._index = server.request("GET", "/services").headers["X-Registry-Index"]
        self._at = At(server.http, TOKENS_FILE=str(folder / "tokens.toml"), DATA_DIR=str(folder / "data"))
        self._places = [(f":{server.port}", ":3100"), (f":{server.dns_port}", ":8600"), (f"{folder}/", "")]

    def run(self, line: str) -> str:
        command, *filters = re.sub(r"\b1[789][0-9]{8}\b", self._index, line).split(" | ")
        for real, shown in self._places:
            command = command.replace(shown, real) if shown else command
        program, *arguments = shlex.split(command)
        assert program == "discovery"
        with contextlib.chdir(self._folder):
            done = self._at(*arguments)
        output = done.out
        for each in filters:
            output = filtered(output, shlex.split(each))
        output += done.err + (f"(exit status {done.status})\n" if done.status else "")
        for real, shown in self._places:
            output = output.replace(real, shown)
        return output


def filtered(text: str, command: list[str]) -> str:
    lines = text.splitlines(keepends=True)
    match command:
        case ["head", "-n", count]:
            return "".join(lines[: int(count)])
        case ["grep", wanted]:
            return "".join(line for line in lines if wanted in line)
    raise AssertionError(command)


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text()


@pytest.fixture(scope="module")
def outputs(page: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[list[str]]]:
    """What the examples of each block print now."""
    folder = tmp_path_factory.mktemp("docs")
    (folder / "old.json").write_text('{"instances": [{"name": "search", "ip": "10.0.0.8", "port": 9200}]}')
    with running(folder, HEARTBEAT_TIMEOUT_SECONDS=600, DATA_DIR=str(folder / "data")) as server:
        shell = Shell(server, folder)
        found = [[shell.run(each.command) for each in examples(block)] for block in BLOCK.findall(page)]
        if os.environ.get("UPDATE_DOCS"):
            PAGE.write_text(rewritten(page, found))
        yield found


def test_every_example_prints_what_the_page_says(page: str, outputs: list[list[str]]) -> None:
    for block, now in zip(BLOCK.findall(page), outputs, strict=True):
        for example, output in zip(examples(block), now, strict=True):
            assert form(output) == form(example.output), (
                f"$ {example.command}   (UPDATE_DOCS=1 pytest tests/cli/test_docs.py writes the page anew)"
            )


def test_every_command_has_an_example(page: str) -> None:
    shown = set(re.findall(r"^\$ discovery ([a-z]+)", page, re.MULTILINE))
    commands = {command.name for commands in COMMANDS.values() for command in commands}
    assert commands - shown - NOT_RUN == set()
    assert all(f"discovery {name}" in page for name in NOT_RUN)


# Their output is a server's log, a shell's script, a unit, or they need an etcd or another registry: tested elsewhere, told of on the page.
NOT_RUN = {"serve", "completion", "unit", "cluster", "migrate", "sync"}
