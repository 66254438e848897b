"""kdig, drill, host and curl as clients, and what they printed as values. Each asks once, and one that fails fails the story."""

from __future__ import annotations

import gc
import os
import re
import subprocess
from unittest import mock

from tests.cli.live import discovery
from tests.programs import program
from tests.stories.process import LIMIT, Discovery, environment


def run(name: str, *arguments: str, status: int | None = 0, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """A program of programs.tsv; `status` None: any exit status."""
    done = subprocess.run(
        [program(name), *arguments], input=stdin, capture_output=True, text=True, timeout=LIMIT, check=False
    )
    assert status is None or done.returncode == status, done.stdout + done.stderr
    return done


def failing_start(**settings: str) -> str:
    """What a server says of a bad setting, in this process: it exits with 2 and is never ready."""
    with mock.patch.dict(os.environ, environment(**settings), clear=True):
        done = discovery("serve")
    gc.enable()  # it is off from the beginning of a start until its end
    assert done.status == 2, done
    assert "ready" not in done.out
    assert "Traceback" not in done.err
    return done.err


def kdig(server: Discovery, *arguments: str, port: int | None = None) -> str:
    """What it printed."""
    at = ("@127.0.0.1", "-p", str(port or server.dns_port))
    done = run("kdig", *at, "+retry=0", "+timeout=60", *arguments)
    assert ";; WARNING" not in done.stdout + done.stderr, done.stdout + done.stderr
    return done.stdout


def drill(server: Discovery, *arguments: str) -> str:
    """What it printed."""
    return run("drill", "-p", str(server.dns_port), *arguments, "@127.0.0.1").stdout


def host(server: Discovery, *arguments: str, status: int = 0) -> set[str]:
    """The lines of its answer."""
    done = run("host", "-p", str(server.dns_port), *arguments, "127.0.0.1", status=status)
    return {line for line in done.stdout.partition("Aliases: \n")[2].splitlines() if line}


def rcode(printed: str) -> str:
    """Of kdig's or drill's output."""
    match = re.search(r"(?:status|rcode): (\w+)", printed)
    assert match, printed
    return match[1]


def section(printed: str, title: str = "ANSWER") -> set[tuple[str, str, str]]:
    """(owner, type, rdata) of each record in a section of kdig's or drill's output."""
    found = re.search(rf"^;; {title} SECTION:\n((?:[^;\n].*\n)*)", printed, re.MULTILINE)
    lines = found[1].splitlines() if found else []
    fields = (line.split(None, 4) for line in lines)
    return {(owner, rtype, rdata) for owner, _, _, rtype, rdata in fields}


def rdata(printed: str) -> set[str]:
    """Of the answer section."""
    return {text for _, _, text in section(printed)}
