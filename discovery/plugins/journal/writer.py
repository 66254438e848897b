"""The registry's file behind a writer in the background: each item is one commit's statements, and none is ever dropped."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from discovery.core.log_fields import fields
from discovery.core.metric import Histogram
from discovery.plugins.journal.database import Database, Op
from discovery.plugins.journal.errors import CannotWrite
from discovery.system.background_writer import BackgroundWriter

_log = logging.getLogger("discovery.journal")

Writer = BackgroundWriter[Sequence[Op]]

# Seconds that a commit may take before writes are refused: more than a busy disk needs, less than clients wait.
PATIENCE = 10.0
# What may wait for the disk before writes are refused. What time brings (instances that expire) is put all the same: it is bounded by
# the number of instances.
MAX_COMMITS = 100_000
MAX_OCTETS = 64 * 1024 * 1024
# Seconds for what waits when the server ends. All that was acknowledged is on disk by then.
CLOSE_SECONDS = 5.0


# Seconds of a transaction: a fast disk syncs within a millisecond, a busy one in seconds.
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 10.0)
# Octets of a transaction: a registration has some 300, a crowd of them megabytes.
OCTETS = (256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216)


def writer_of(database: Database, seconds: Histogram | None = None, octets: Histogram | None = None) -> Writer:
    """Made in the event loop; it closes the database at its end. Notes of each transaction how long it took and how large it was."""
    measured = partial(_measured, database.write, seconds or Histogram(SECONDS), octets or Histogram(OCTETS))
    return BackgroundWriter(
        "journal", measured, database.close, partial(_notice, database.file),
        patience=PATIENCE, max_items=MAX_COMMITS, max_octets=MAX_OCTETS,
    )  # fmt: skip


def _measured(
    write: Callable[[Sequence[Sequence[Op]]], None],
    seconds: Histogram,
    octets: Histogram,
    group: Sequence[Sequence[Op]],
) -> None:
    """In the writer's thread, which alone changes these histograms."""
    started = time.perf_counter()
    write(group)
    seconds.observe(time.perf_counter() - started)
    octets.observe(sum(_size(value) for ops in group for _, values in ops for value in values))


def _size(value: object) -> int:
    return len(value) if isinstance(value, str | bytes) else 8


def _notice(file: Path, reason: str | None) -> None:
    if reason is None:
        _log.warning("%s can be written again; nothing was lost", file, extra=fields("journal.can_write", file=file))
    else:
        refused = "register, deregister, drain and maintenance get 503 until it can be"
        _log.error(
            "%s; %s", CannotWrite(file, reason), refused, extra=fields("journal.cannot_write", file=file, reason=reason)
        )
