"""A file that is written anew and takes the place of the old one: whoever reads it, and whoever comes after a power failure, finds one of
the two whole.
"""

from __future__ import annotations

import os
from pathlib import Path


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
