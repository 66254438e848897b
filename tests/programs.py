"""Programs that tests drive. tests/run installs those of programs.tsv; one that is missing fails in CI, elsewhere it skips and says so."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

# Of packages that are not installed, but lie there: tests/run says why.
UNPACKED = Path(__file__).parents[1] / ".venv" / "unpacked"
_MORE = ("/usr/sbin", "/sbin", "/usr/lib/systemd", f"{UNPACKED}/usr/lib/systemd")
_PACKAGES = dict(line.split("\t") for line in (Path(__file__).parent / "programs.tsv").read_text().splitlines())


def program(name: str) -> str:
    """The full path of a program that stands in programs.tsv."""
    package = _PACKAGES[name]
    path = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *_MORE]))
    if path is None:
        text = f"{name} is not installed (Debian package {package}); tests/run installs it where it can"
        if os.environ.get("CI"):
            pytest.fail(text)
        pytest.skip(text)
    return path
