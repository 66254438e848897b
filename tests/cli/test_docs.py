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
from typing import NamedTuple

import pytest

import discovery
from discovery import cli
from tests.cli.live import At
from tests.stories.process import Discovery, running

PAGE = Path(discovery.__file__).parent / "docs" / "cli.md"
BLOCK = re.compile(r"^```console\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
# What is different each time, and how the page has it; the first that fits.
FORMS = [
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "an id"),
    (r"20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,12}Z", "a time"),
    (r"[0-9a-f]{64}", "a digest"),
    (r"dsc_[A-Za-z0-9_-]{43}", "a secret"),
    (r"every [0-9.]+ s", "an interval"),
    (r"\b[0-9.]+ (s|ms|min) ago", "an age"),
    (r"\bpid [0-9]+", "a pid"),
    (r"\b[0-9]+ settings are", "some settings are"),
    (r"\b1[789][0-9]{8}\b", "an index"),
    (r"\b[0-9.]+ ms\b", "a latency"),
    (r"\b[0-9]{1,3}(,[0-9]{3})+\b", "a rate"),
    (r"\b[0-9]+ %", "a share"),
    (r" +", " "),
    (r"-{3,}|─{3,}", "a line"),
]


class Example(NamedTuple):
    command: str
    output: str


def examples(block: str) -> list[Example]:
    parts = re.split(r"^\$ (.*)\n", block, flags=re.MULTILINE)[1:]
    return [Example(command, output) for command, output in zip(parts[::2], parts[1::2], strict=True)]


def form(text: str) -> str:
    for pattern, name in FORMS:
        text = re.sub(pattern, name, text)
    return text


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
    with running(folder, HEARTBEAT_TIMEOUT_SECONDS=600, DATA_DIR=str(folder / "data")) as server:
        shell = Shell(server, folder)
        found = [[shell.run(each.command) for each in examples(block)] for block in BLOCK.findall(page)]
        if os.environ.get("UPDATE_DOCS"):
            PAGE.write_text(rewritten(page, found))
        yield found


def rewritten(page: str, outputs: list[list[str]]) -> str:
    given = iter(outputs)

    def block(match: re.Match[str]) -> str:
        """What has the same form stays as it is."""
        lines = [
            f"$ {each.command}\n{each.output if form(each.output) == form(output) else output}"
            for each, output in zip(examples(match[1]), next(given), strict=True)
        ]
        return f"```console\n{''.join(lines)}```\n"

    return BLOCK.sub(block, page)


def test_every_example_prints_what_the_page_says(page: str, outputs: list[list[str]]) -> None:
    for block, now in zip(BLOCK.findall(page), outputs, strict=True):
        for example, output in zip(examples(block), now, strict=True):
            assert form(output) == form(example.output), (
                f"$ {example.command}   (UPDATE_DOCS=1 pytest tests/cli/test_docs.py writes the page anew)"
            )


def test_every_command_has_an_example(page: str) -> None:
    shown = set(re.findall(r"^\$ discovery ([a-z]+)", page, re.MULTILINE))
    commands = {command.name for commands in cli.COMMANDS.values() for command in commands}
    assert commands - shown - NOT_RUN == set()
    assert all(f"discovery {name}" in page for name in NOT_RUN)


# Their output is a server's log, a shell's script, a unit, or they need an etcd: tested elsewhere, told of on the page.
NOT_RUN = {"serve", "completion", "unit", "cluster"}
