"""The lock of a data directory, between processes: one holds it, the next is told by whom, and it ends with its holder."""

from __future__ import annotations

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from discovery.plugins.journal.errors import DataDirInUse, DataDirUnusable
from discovery.plugins.journal.lock import Lock
from tests.plugins.journal.making import LIMIT, child, line_of

HOLD = """
import sys, pathlib
from discovery.plugins.journal.lock import Lock
lock = Lock(pathlib.Path(sys.argv[1]))
print("locked", flush=True)
sys.stdin.readline()
lock.close()
print("released", flush=True)
sys.stdin.readline()
"""
# As nobody, who may write nowhere.
TRY = """
import os, sys, pathlib
from discovery.core.errors import DiscoveryError
from discovery.plugins.journal.lock import Lock
if os.getuid() == 0:
    os.setuid(65534)
try:
    Lock(pathlib.Path(sys.argv[1]))
except DiscoveryError as error:
    print(type(error).__name__, error)
"""


def test_a_second_process_is_refused_and_told_the_pid_of_the_first(tmp_path: Path) -> None:
    with child(HOLD, tmp_path) as holder:
        assert line_of(holder) == "locked"
        for _ in range(2):
            with pytest.raises(DataDirInUse, match=rf"pid {holder.pid}\b") as refused:
                Lock(tmp_path)
            assert str(tmp_path) in str(refused.value)
        assert holder.stdin is not None
        holder.stdin.write("\n")
        holder.stdin.flush()
        assert line_of(holder) == "released"
        Lock(tmp_path).close()


def test_the_lock_of_a_process_that_is_killed_is_free_and_its_file_no_hindrance(tmp_path: Path) -> None:
    with child(HOLD, tmp_path) as holder:
        assert line_of(holder) == "locked"
        holder.send_signal(signal.SIGKILL)
        holder.wait(LIMIT)
        assert (tmp_path / "lock").read_text() == f"{holder.pid}\n"
        lock = Lock(tmp_path)
    with pytest.raises(DataDirInUse, match=rf"pid {os.getpid()}\b"):
        Lock(tmp_path)
    lock.close()


@pytest.mark.parametrize("left", [b"", b"4194304000000000000000000000\nand more\n", b"\xff\xfe\0"])
def test_a_file_that_was_left_behind_is_taken_over(tmp_path: Path, left: bytes) -> None:
    (tmp_path / "lock").write_bytes(left)
    lock = Lock(tmp_path)
    assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"
    lock.close()


def test_the_lock_is_not_inherited_by_a_program_that_is_started(tmp_path: Path) -> None:
    lock = Lock(tmp_path)
    with subprocess.Popen(["sleep", "60"], close_fds=False) as sleeper:
        lock.close()
        Lock(tmp_path).close()
        sleeper.kill()


def test_a_missing_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "var" / "lib" / "discovery"
    old = os.umask(0)
    try:
        Lock(folder).close()
        modes = [stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / "lock")]
    finally:
        os.umask(old)
    assert modes == [0o700, 0o600]


def unusable(folder: Path, *prefix: str) -> None:
    """For another process, that is not root or sees another file system."""
    command = [*prefix, sys.executable, "-c", TRY, str(folder)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=True).stdout
    assert said.startswith("DataDirUnusable DATA_DIR: "), said
    assert str(folder) in said
    assert re.search(r"DATA_DIR=\W.*in memory", said)


@pytest.fixture
def open_path(tmp_path: Path) -> Path:
    """A folder that every user can reach."""
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        folder.chmod(folder.stat().st_mode | 0o055)
    return tmp_path


def test_a_folder_that_cannot_be_written_is_named_with_the_ways_out(open_path: Path) -> None:
    folder = open_path / "data"
    folder.mkdir(mode=0o555)
    unusable(folder)
    unusable(folder / "deeper")
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_entered_is_named(open_path: Path) -> None:
    folder = open_path / "data"
    folder.mkdir(mode=0o700)
    folder.chmod(0)
    unusable(folder)


def test_somebody_elses_lock_file_is_named(open_path: Path) -> None:
    folder = open_path / "data"
    Lock(folder).close()
    folder.chmod(0o777)
    (folder / "lock").chmod(0o400)
    if os.getuid() == 0:
        unusable(folder)
    else:
        with pytest.raises(DataDirUnusable):
            Lock(folder)


def test_what_is_no_folder_is_named(tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.write_text("")
    for path in (file, file / "deeper"):
        with pytest.raises(DataDirUnusable) as refused:
            Lock(path)
        assert str(path) in str(refused.value)


def test_a_file_system_that_is_read_only_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    shell = 'mount -t tmpfs -o ro none "$0" && exec "$@"'
    command = ("sh", "-c", shell, str(folder))
    wrapped = ("unshare", "-m") if os.getuid() == 0 else ("unshare", "-rm")
    assert shutil.which("unshare")
    unusable(folder, *wrapped, *command)
