"""A write as a line: who, what, what came of it, and how it was before and after. Pure.

What there was before is looked at just before the write; what there is after follows from the write's own changes, so that the next
write, which may come before this one returns, is not mixed up with it.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from discovery.core.caller import SERVER, Caller
from discovery.core.change import Change
from discovery.plugins.audit.shown import Json
from discovery.plugins.audit.subject import subject_of
from discovery.rest.api.times import iso
from discovery.store.registry import Registry

DONE = "done"
# Characters of an error's text and of an id that nobody has: both quote what a stranger sent.
MAX_TEXT = 512

# What a terminal may take as an order and JSON leaves as it is: delete, C1, line separators, changes of direction.
_UNSAFE = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


class Record:
    """One write under way. `changes` is filled while it is carried out. `now`: monotonic seconds, the registry's."""

    def __init__(self, write: object, by: Caller, registry: Registry, now: float) -> None:
        self.changes: list[Change] = []
        self._by = by
        self._registry = registry
        self._reason = getattr(write, "reason", None)
        self._subject = subject_of(write, registry, now)

    def line(self, error: BaseException | None, wall: float) -> bytes | None:
        """Once it is known what came of it, at `wall` (epoch seconds); None when it was done and changed nothing."""
        difference = self._subject.difference(self.changes, error is None)
        if error is None and difference is None:
            return None
        before, after = difference or (None, None)
        content: Json = {
            "time": iso(wall),
            "by": {"name": _text(self._by.name), "address": _text(self._by.address)},
            "action": self._subject.action,
            "service": self._subject.service and _text(self._subject.service),
            "instance": _bounded(self._subject.instance(self.changes)),
            "outcome": DONE if error is None else _code(error),
            "index": self.changes[-1].index if self.changes else self._registry.index,
            "before": before,
            "after": after,
        }
        if error is not None:
            content["error"] = _text(str(error))
        if self._reason is not None:
            content["reason"] = _text(self._reason)
        return octets_of(content | self._subject.beside(self.changes))


def of_lost(count: int, wall: float) -> bytes:
    """The line that stands where so many are missing."""
    by = {"name": SERVER.name, "address": SERVER.address}
    return octets_of({"time": iso(wall), "by": by, "action": "lost", "lines": count})


def octets_of(content: Json) -> bytes:
    """JSON and a newline; nothing in it that a terminal takes as an order."""
    octets = orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE)
    if octets.isascii() and b"\x7f" not in octets:
        return octets
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", octets.decode()).encode()


def _code(error: BaseException) -> str:
    code: Any = getattr(error, "code", None)
    return code if isinstance(code, str) else type(error).__name__


def _text(text: str) -> str:
    """Bounded, and in Unicode for sure (what came in a URL need not be)."""
    return text[:MAX_TEXT].encode("utf-8", "backslashreplace").decode()


def _bounded(fields: Json | None) -> Json | None:
    return fields and {name: _text(value) if isinstance(value, str) else value for name, value in fields.items()}
