"""A small file system of its own for a server's DATA_DIR: a tmpfs in a mount namespace, which goes with the process that holds it.

Nobody else sees it, so nothing is left behind. Root may make one; others by way of a user namespace, where the machine allows that.
"""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from tests.programs import program
from tests.stories.process import LIMIT

_CHUNK = 4096


class Volume:
    """`prefix`: a command before it runs where the file system is. `folder`: its root, as such a command sees it."""

    def __init__(self, prefix: list[str], folder: Path, holder: int) -> None:
        self.prefix = prefix
        self.folder = folder
        self._filler = Path(f"/proc/{holder}/root{folder}/filler")

    def fill(self) -> None:
        """To the last block."""
        with self._filler.open("ab", buffering=0) as file:
            while _has_room(file):
                pass

    def free(self) -> None:
        self._filler.unlink()


def _has_room(file: IO[bytes]) -> bool:
    try:
        file.write(bytes(_CHUNK))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return False
    return True


@contextmanager
def volume(folder: Path, options: str) -> Iterator[Volume]:
    """`options` of mount(8) for a tmpfs over `folder`."""
    root = os.geteuid() == 0
    process = subprocess.Popen(
        [
            program("unshare"), "--mount", *([] if root else ["--map-root-user"]),
            "sh", "-c", 'mount -t tmpfs -o "$1" tmpfs "$0" && echo ready && exec sleep infinity', str(folder), options,
        ],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        try:
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                _cannot(process.communicate(timeout=LIMIT)[1])
            entry = ["--target", str(process.pid), "--mount", f"--wd={Path.cwd()}"]
            prefix = [program("nsenter"), *entry, *([] if root else ["--user", "--preserve-credentials"])]
            yield Volume(prefix, folder, process.pid)
        finally:
            process.kill()


def _cannot(why: str) -> None:
    """Like a program that is missing: fails in CI, skips elsewhere."""
    text = f"no mount namespace can be made here: {why.strip()}; run as root, or let others make user namespaces"
    if os.environ.get("CI"):
        pytest.fail(text)
    pytest.skip(text)
