"""A file that is written anew and takes the place of the old one: whoever reads it, and whoever comes after a power failure, finds one of
the two whole.
"""

from __future__ import annotations

import os
from pathlib import Path


def write_in_place(file: Path, octets: bytes) -> None:
    """For its owner alone. OSError."""
    new = file.with_name(f"{file.name}.new")
    with os.fdopen(os.open(new, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as written:
        written.write(octets)
    put_in_place(new, file)


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
