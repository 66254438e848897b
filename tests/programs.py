"""Programs that tests drive. tests/run installs those of programs.tsv; one that is missing fails in CI, elsewhere it skips and says so."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

# The library of Debian's package faketime, as ld.so(8) finds it, for LD_PRELOAD. The program of that name stands between a test and the
# signals that it sends, and fails where one that was killed had the same process id.
FAKETIME = "/usr/$LIB/faketime/libfaketimeMT.so.1"
# Of packages that are not installed, but lie there: tests/run says why.
UNPACKED = Path(__file__).parents[1] / ".venv" / "unpacked"
_MORE = ("/usr/sbin", "/sbin", "/usr/lib/systemd", f"{UNPACKED}/usr/lib/systemd")
_ROWS = [line.split("\t") for line in (Path(__file__).parent / "programs.tsv").read_text().splitlines()]
# Of a program: its packages, and the argument that makes it tell its version, where that is asked.
_PROGRAMS = {name: (packages, *more) for name, packages, *more in _ROWS}


def program(name: str, at_least: str = "") -> str:
    """The full path of a program that stands in programs.tsv. One older than `at_least` skips the test, in CI as well."""
    package, *_ = _PROGRAMS[name]
    path = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *_MORE]))
    if path is None:
        text = f"{name} is not installed (Debian package {package}); tests/run installs it where it can"
        if os.environ.get("CI"):
            pytest.fail(text)
        pytest.skip(text)
    if at_least and not is_at_least(name, at_least):
        pytest.skip(f"needs {name} {at_least} or newer, here is {version(name)}")
    return path


def version(name: str) -> str:
    """`1.17.1`: the first number that it tells."""
    _, argument = _PROGRAMS[name]
    done = subprocess.run([program(name), argument], capture_output=True, text=True, timeout=60)
    told = re.search(r"\d+(\.\d+)*", done.stdout + done.stderr)
    assert told, done
    return told[0]


def is_at_least(name: str, wanted: str) -> bool:
    return _numbers(version(name)) >= _numbers(wanted)


def _numbers(text: str) -> list[int]:
    return list(map(int, text.split(".")))
