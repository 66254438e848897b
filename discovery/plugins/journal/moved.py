"""The mark in a data directory whose registry has moved to nodes on etcd (`discovery migrate`): no server starts on what is left in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from discovery.core.errors import reason_of
from discovery.plugins.journal.errors import CannotWrite
from discovery.system.in_place import write_in_place

FILE = "moved.json"


class Mark(NamedTuple):
    """`at`: epoch seconds. `cluster`: where it is now; empty where the mark cannot be read."""

    at: float = 0.0
    cluster: str = ""


def read(folder: Path) -> Mark | None:
    """None where there is none. One that cannot be read is a mark all the same: two registries that both take writes would be worse."""
    try:
        found = json.loads((folder / FILE).read_bytes())
        return Mark(float(found["at"]), str(found["cluster"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return Mark()


def write(folder: Path, mark: Mark) -> None:
    """CannotWrite."""
    try:
        write_in_place(folder / FILE, json.dumps(mark._asdict()).encode() + b"\n")
    except OSError as error:
        raise CannotWrite(folder / FILE, reason_of(error)) from None


def remove(folder: Path) -> None:
    (folder / FILE).unlink(missing_ok=True)
