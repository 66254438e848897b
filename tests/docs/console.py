"""Examples in pages: each ```console block holds `$ COMMAND` lines, each with what it prints below. They are run, in order, in bash,
against a server that the page believes at its default ports. What differs from run to run (ids, times) is compared by its form.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.cli.live import At
from tests.programs import program
from tests.stories.process import LIMIT, Discovery

BLOCK = re.compile(r"^```console\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
# What is different each time, and how the page has it; the first that fits.
FORMS = [
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "an id"),
    (r"20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,12}Z", "a time"),
    (r"[0-9a-f]{64}", "a digest"),
    (r"[0-9a-f]{48}", "a cookie"),
    (r"\bid: [0-9]+$|Query time: [0-9]+|WHEN: .*", "of a query"),
    (r"dsc_[A-Za-z0-9_-]{43}", "a secret"),
    (r"\b[0-2][0-9]:[0-5][0-9](:[0-5][0-9]Z|(?![\d:]))", "a time of day"),
    (r"every [0-9.]+ s", "an interval"),
    (r'"heartbeatIntervalMs":[0-9]+', "an interval"),
    (r"\b[0-9.]+ (s|ms|min) ago", "an age"),
    (r'"timeSinceHeartbeat": ?"[0-9]+s"', "an age"),
    (r"no heartbeat for [0-9.]+ s", "a silence"),
    (r"\bpid [0-9]+", "a pid"),
    (r"\b[0-9]+ settings are", "some settings are"),
    (r"\b1[789][0-9]{8}\b", "an index"),
    (r"\b[0-9.]+ ms\b", "a latency"),
    (r"\b[0-9]{1,3}(,[0-9]{3})+\b", "a rate"),
    (r"\b[0-9]+ %", "a share"),
    (r"\s[0-9]+\s+IN\b", " a TTL IN"),
    (r"[ \t]+", " "),
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
        text = re.sub(pattern, name, text, flags=re.MULTILINE)
    return text


def rewritten(page: str, outputs: list[list[str]]) -> str:
    """The page with these outputs; what has the same form stays as it is."""
    given = iter(outputs)

    def block(match: re.Match[str]) -> str:
        lines = [
            f"$ {each.command}\n{each.output if form(each.output) == form(output) else output}"
            for each, output in zip(examples(match[1]), next(given), strict=True)
        ]
        return f"```console\n{''.join(lines)}```\n"

    return BLOCK.sub(block, page)


class Bash:
    """Runs commands as a reader would, in `folder`; the server's ports stand for 3100 and 8600.

    `discovery …` runs in this process, which takes a fraction of the time; what stands behind its `|` is bash's again.
    """

    def __init__(self, server: Discovery, folder: Path) -> None:
        self._folder = folder
        self._ports = [(str(server.port), "3100"), (str(server.dns_port), "8600")]
        self._discovery = At(
            server.http, PORT=str(server.port), DNS_PORT=str(server.dns_port), DATA_DIR=str(folder / "data")
        )
        programs = {Path(sys.executable).parent, *(Path(program(each)).parent for each in ("bash", "curl", "dig"))}
        self._environment = {
            "PATH": os.pathsep.join([*map(str, programs), os.environ["PATH"]]),
            "DISCOVERY_URL": server.http,
            "LC_ALL": "C.UTF-8",
        }

    def __call__(self, command: str) -> str:
        for real, shown in self._ports:
            command = re.sub(rf"(:|-p ){shown}\b", rf"\g<1>{real}", command)
        output = self._in_process(command) if re.match(r"discovery [^\n]*\Z", command) else self._in_bash(command)
        for real, shown in self._ports:
            output = re.sub(rf"([:#@]|port |-p ){real}\b", rf"\g<1>{shown}", output)
        return output.replace(f"{self._folder}/", "")

    def _in_process(self, command: str) -> str:
        ours, _, behind = command.partition(" | ")
        with contextlib.chdir(self._folder):
            done = self._discovery(*shlex.split(ours)[1:])
        if behind:
            return done.err + self._in_bash(behind, done.out)
        return done.out + done.err + (f"(exit status {done.status})\n" if done.status else "")

    def _in_bash(self, command: str, given: str = "") -> str:
        done = subprocess.run(
            [program("bash"), "-c", command],
            cwd=self._folder,
            env=self._environment,
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT,
        )
        output = done.stdout
        if output and not output.endswith("\n"):
            output += "\n"
        return output + (f"(exit status {done.returncode})\n" if done.returncode else "")


def check(path: Path, run: Callable[[str], str]) -> None:
    """Each example prints what the page says; with UPDATE_DOCS=1 the page is written anew first."""
    page = path.read_text()
    found = [[run(each.command) for each in examples(block)] for block in BLOCK.findall(page)]
    assert found, f"{path} has no example"
    if os.environ.get("UPDATE_DOCS"):
        page = rewritten(page, found)
        path.write_text(page)
    for block, now in zip(BLOCK.findall(page), found, strict=True):
        for example, output in zip(examples(block), now, strict=True):
            assert form(output) == form(example.output), (
                f"$ {example.command}   (UPDATE_DOCS=1 pytest {Path(__file__).parent} writes the pages anew)"
            )
