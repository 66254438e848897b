"""The registry's file behind a writer in the background: each item is one commit's statements, and none is ever dropped."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from discovery.core.log_fields import fields
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


def writer_of(database: Database) -> Writer:
    """Made in the event loop; it closes the database at its end."""
    return BackgroundWriter(
        "journal", database.write, database.close, partial(_notice, database.file),
        patience=PATIENCE, max_items=MAX_COMMITS, max_octets=MAX_OCTETS,
    )  # fmt: skip


def _notice(file: Path, reason: str | None) -> None:
    if reason is None:
        _log.warning("%s can be written again; nothing was lost", file, extra=fields("journal.can_write", file=file))
    else:
        refused = "register, deregister, drain and maintenance get 503 until it can be"
        _log.error(
            "%s; %s", CannotWrite(file, reason), refused, extra=fields("journal.cannot_write", file=file, reason=reason)
        )
