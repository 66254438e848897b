"""The pure modules of the page, by Node's own test runner: *.test.mjs beside this file."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.programs import program


def test_the_pure_modules_do_what_they_say() -> None:
    files = sorted(str(path) for path in Path(__file__).parent.glob("*.test.mjs"))
    done = subprocess.run([program("node"), "--test", *files], capture_output=True, text=True, timeout=60, check=False)
    assert files
    assert done.returncode == 0, done.stdout[-8000:]
