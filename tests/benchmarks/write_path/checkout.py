"""The code that is measured: this one, and another checkout of the project beside it, each run by its own interpreter."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.benchmarks.rivals import SERVER_CORE
from tests.stories.process import ROOT, Discovery, running_command

_PREFIX = ("taskset", "-c", SERVER_CORE)
_HERE = Path(__file__).parent


class Checkout(NamedTuple):
    title: str
    root: Path
    python: str

    def measure(self, script: str, *arguments: str) -> dict[str, Any]:
        """What a script of this folder prints, a JSON object, when it runs with this checkout's code."""
        command = [*_PREFIX, *self._script(script), *arguments]
        environment = {"PYTHONPATH": str(self.root), "PATH": "/usr/bin:/bin"}
        done = subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    @contextmanager
    def serving(self, settings: Mapping[str, str | int], script: str | None = None) -> Iterator[Discovery]:
        """`discovery serve`, or that script of this folder in its place, on the servers' core."""
        command = [self.python, "-m", "discovery"] if script is None else self._script(script)
        own: dict[str, str | int] = {
            "PYTHONPATH": str(self.root),
            "ZONES_DIR": str(self.root / "zones"),
            "LOG_LEVEL": "error",
            "REGISTERS_PER_SECOND": 0,
            "MAX_SERVICES": 1_000_000,
        }
        with running_command([*_PREFIX, *command], self.root, {**own, **settings}) as server:
            yield server

    def _script(self, name: str) -> Sequence[str]:
        return [self.python, "-P", str(_HERE / f"{name}.py")]


def ours() -> Checkout:
    return Checkout("this", ROOT, sys.executable)


def beside(root: Path) -> Checkout:
    python = root / ".venv" / "bin" / "python"
    assert python.exists(), f"{root} has no virtual environment .venv of its own"
    return Checkout("before", root, str(python))
