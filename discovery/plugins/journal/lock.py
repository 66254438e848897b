"""One process for each data directory: an advisory lock that ends with its holder, whose pid is in the file."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from discovery.core.errors import reason_of
from discovery.plugins.journal.errors import DataDirInUse, DataDirUnusable


class Lock:
    """DataDirUnusable; DataDirInUse while another process holds it. The folder is made when it is missing."""

    def __init__(self, folder: Path) -> None:
        try:
            if not folder.exists():
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                give_to_owner(folder)
            self._file = os.open(
                folder / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600
            )  # a link could lead elsewhere
            give_to_owner(folder / "lock")
        except OSError as error:
            raise DataDirUnusable(folder, reason_of(error)) from None
        try:
            _lock(self._file)
        except OSError:
            pid = os.pread(self._file, 20, 0).decode("ascii", "replace").strip()
            os.close(self._file)
            raise DataDirInUse(folder, pid or "unknown") from None
        try:
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:  # a disk without room for seven octets: the lock works, but nothing else will
            os.close(self._file)
            raise DataDirUnusable(folder, reason_of(error)) from None

    def close(self) -> None:
        os.close(self._file)


def held_by(folder: Path) -> str | None:
    """The pid of the process that holds the lock of `folder`; None when nobody does. Nothing is changed."""
    try:
        file = os.open(folder / "lock", os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        _lock(file)
    except OSError:
        return os.pread(file, 20, 0).decode("ascii", "replace").strip() or "unknown"
    finally:
        os.close(file)
    return None


def _lock(file: int) -> None:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def give_to_owner(made: Path) -> None:
    """`made` gets the owner and the group of the folder that it is in, if we are root. OSError."""
    if os.geteuid() == 0:
        folder = made.parent.stat()
        # That user may have put a link in its place meanwhile.
        os.chown(made, folder.st_uid, folder.st_gid, follow_symlinks=False)
