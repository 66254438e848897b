"""The log: text for people, or JSON lines for machines, on standard error, written in the background.

A line is a sentence with its values by name, and the event that it tells of, `noun.verb`: `_log.warning("%(file)s is broken: %(reason)s",
{"event": "zones.failed", "file": file, "reason": reason})`. As text it is the sentence alone; as JSON it has each value under its own name
besides, but for those that begin with `_`, which are of the sentence alone. The same thing has the same name in all lines: service, ip,
port, id, index, actor (the token's name), client (an address), file. Lines are written later by another thread, so values do not change.
docs/logs.md lists the events.
"""

from __future__ import annotations

import json
import logging
import queue
import re
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

_log = logging.getLogger("discovery.log")

# What a terminal may take as an order: C0, delete, C1, line separators, changes of direction. And halves of a character, which are no text.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


# Lines that may wait to be written. Beyond, whoever reads the log is too slow, and lines are dropped rather than the server stopped.
MAX_WAITING = 10_000


def configure(level: str, format: str) -> logging.Handler:
    """`format`: one of _FORMATTERS. The handler, for whoever wants to wait for its last line."""
    stream = logging.StreamHandler()
    stream.setFormatter(_FORMATTERS[format]())
    handler = Background(stream)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("watchfiles").setLevel("WARNING")  # it tells of every change; `zones` says what came of it
    return handler


class Background(logging.Handler):
    """Hands records to `handler` in a thread of its own: formatting takes time, and a pipe that nobody reads takes for ever."""

    def __init__(self, handler: logging.Handler) -> None:
        super().__init__()
        self._handler = handler
        self._waiting: queue.Queue[logging.LogRecord] = queue.Queue(MAX_WAITING)
        self._dropped = 0
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._waiting.put_nowait(record)
        except queue.Full:
            self._dropped += 1

    def flush(self) -> None:
        """Waits a second at the most."""
        deadline = time.monotonic() + 1
        while self._waiting.unfinished_tasks and time.monotonic() < deadline:
            time.sleep(0.001)
        self._handler.flush()

    def close(self) -> None:
        self.flush()
        super().close()

    def _write(self) -> None:
        while True:
            record = self._waiting.get()
            self._handler.handle(record)
            if self._dropped and self._waiting.qsize() < MAX_WAITING // 2:
                dropped, self._dropped = self._dropped, 0
                _log.warning(
                    "%(lines)d lines were dropped: the log is read too slowly",
                    {"event": "log.dropped", "lines": dropped},
                )
            self._waiting.task_done()


class _TextFormatter(logging.Formatter):
    """`2026-01-31T12:00:00.123Z INFO discovery.registry: message`. No stranger's text can start a line or move a cursor."""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{_time(record)} {record.levelname} {record.name}: {escaped(record.getMessage())}"
        if not record.exc_info:
            return line
        trace = self.formatException(record.exc_info).split("\n")
        return "\n    ".join([line, *map(escaped, trace)])


def escaped(text: str) -> str:
    """Text that starts no line and moves no cursor, whoever wrote it."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


class _JsonFormatter(logging.Formatter):
    """An object a line, in ASCII: what a terminal might take as an order is escaped. Empty values are left out."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {"time": _time(record), "level": record.levelname.lower(), "logger": record.name}
        own = fields_of(record)
        if own:
            line["event"] = own["event"]
        line["message"] = record.getMessage()
        for name, value in own.items():
            if value is not None and value != "":
                line.setdefault(name, value)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """What it says besides its sentence; nothing of a library's."""
    values = record.args if isinstance(record.args, Mapping) and "event" in record.args else {}
    return {name: value for name, value in values.items() if not name.startswith("_")}


class _RunFormatter(logging.Formatter):
    """Of `discovery run`, on the standard error of the program that it runs."""

    def format(self, record: logging.LogRecord) -> str:
        return f"discovery run: {escaped(record.getMessage())}"


_FORMATTERS = {"json": _JsonFormatter, "text": _TextFormatter, "run": _RunFormatter}


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
