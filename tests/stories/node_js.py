"""Programs under Node: those of the folder `node`, with the packages of its package.json."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.programs import program
from tests.stories.process import LIMIT

FOLDER = Path(__file__).parent / "node"


def node(script: str, *arguments: str) -> Any:
    """Runs it to its end and returns the JSON that it printed."""
    done = subprocess.run(_command(script, *arguments), capture_output=True, text=True, timeout=LIMIT, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done
    return json.loads(done.stdout)


@contextmanager
def node_running(script: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """It is killed at the end if it still runs. Its output is text, both streams in `stdout`; `stdin` is written to it."""
    process = subprocess.Popen(
        _command(script, *arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def node_modules() -> Path:
    """The folder of the npm packages, with all of them in it."""
    packages = json.loads((FOLDER / "package.json").read_text())["dependencies"]
    if not all((FOLDER / "node_modules" / package).is_dir() for package in packages):
        install = [program("npm"), "install", "--prefix", str(FOLDER), "--no-package-lock", "--no-audit", "--no-fund"]
        subprocess.run(install, check=True, capture_output=True, timeout=100)
    return FOLDER / "node_modules"


def _command(script: str, *arguments: str) -> list[str]:
    node_modules()
    return [program("node"), str(FOLDER / script), *arguments]
