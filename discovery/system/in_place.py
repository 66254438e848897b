"""A file that is written anew and takes the place of the old one: whoever reads it, and whoever comes after a power failure, finds one of
the two whole.
"""

from __future__ import annotations

import os
from pathlib import Path


def write_in_place(file: Path, octets: bytes, flags: int = os.O_TRUNC) -> None:
    """With the mode and owner of the file before. One that was not there is for its owner alone: who owns the folder, where root makes it.
    `flags`: O_EXCL where several may write it, and only one at a time; FileExistsError then. OSError.
    """
    new = file.with_name(f"{file.name}.new")
    descriptor = os.open(new, os.O_CREAT | os.O_WRONLY | flags, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as written:
            written.write(octets)
            before = file.stat() if file.exists() else None
            if os.geteuid() == 0:
                owner = before or file.parent.stat()
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
            if before is not None:
                os.fchmod(descriptor, before.st_mode & 0o777)
        put_in_place(new, file)
    except OSError:
        new.unlink(missing_ok=True)
        raise


def put_in_place(new: Path, file: Path) -> None:
    """Moves `new` over `file`, and is sure of it when it returns. OSError."""
    _sync(new)
    new.replace(file)
    _sync(file.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
