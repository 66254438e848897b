"""Data directories that cannot be used: the start is refused with exit status 1, says which and what to do, and changes nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.programs import program
from tests.stories.liveness.starting import discovery, refused
from tests.stories.liveness.volume import volume
from tests.stories.process import running

NOBODY = 65534


def _says_what_to_do(said: str, folder: Path) -> None:
    print(said)
    assert f"DATA_DIR: {folder} " in said
    assert "a folder that this user can write to" in said


@pytest.mark.parametrize("below", ["", "data"])
def test_a_read_only_directory_is_named(tmp_path: Path, below: str) -> None:
    with volume(tmp_path, "ro") as read_only:
        folder = tmp_path / below
        said = refused(read_only.prefix, DATA_DIR=str(folder))
    _says_what_to_do(said, folder)
    assert "Read-only file system" in said


def test_a_directory_of_another_user_is_named(tmp_path: Path) -> None:
    """Root may do everything, but not in a user namespace where it is nobody."""
    folder, prefix = Path("/usr"), []
    if os.geteuid() == 0:
        folder, prefix = tmp_path / "theirs", [program("unshare"), "--user"]
        folder.mkdir(mode=0o755)
        os.chown(folder, NOBODY, NOBODY)
    said = refused(prefix, DATA_DIR=str(folder))
    _says_what_to_do(said, folder)
    assert "Permission denied" in said
    assert not (folder / "lock").exists()


def test_a_file_in_the_place_of_the_directory_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.write_text("not a directory")
    _says_what_to_do(refused(DATA_DIR=str(folder)), folder)
    assert folder.read_text() == "not a directory"


def test_a_second_process_names_the_first_one_s_pid(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    with running(DATA_DIR=data) as first:
        said = refused(DATA_DIR=data)
        print(said)
        assert f"DATA_DIR: {data} is in use by the process with pid {first.process.pid};" in said
        backup = str(tmp_path / "backup")
        discovery("backup", backup, DATA_DIR=data)
        restored = discovery("restore", backup, status=1, DATA_DIR=data)
        assert f"pid {first.process.pid};" in restored.stderr, "nor can it be replaced under a running server"
        first.register("shop", "10.0.0.1", 80)
    with running(DATA_DIR=data) as after:
        assert after.request("GET", "/resolve/shop").status == 200, "the killed one's lock is nobody's"
