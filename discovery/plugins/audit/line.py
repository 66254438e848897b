"""A commit, or a write that was refused, as a line: who, what, what came of it, and how it was before and after. Pure."""

from __future__ import annotations

import re
from typing import Any

import orjson

from discovery.core.caller import SERVER, Caller
from discovery.core.errors import DiscoveryError
from discovery.core.event import RESTORE, Commit
from discovery.plugins.audit.shown import Json, what_happened
from discovery.rest.api.times import iso
from discovery.store.expiry import Expire
from discovery.store.operations import Checked, ReloadZones
from discovery.store.registration import Revive
from discovery.store.write import Write

DONE = "done"
# Characters of an error's text and of an id that nobody has: both quote what a stranger sent.
MAX_TEXT = 512

# What nobody asked for: time, heartbeats, checks and files bring it, and the log has it.
_UNASKED = {Expire.action, Revive.action, Checked.action, ReloadZones.action, RESTORE}

# What a terminal may take as an order and JSON leaves as it is: delete, C1, line separators, changes of direction.
_UNSAFE = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def of_commit(commit: Commit) -> bytes | None:
    """None for a commit that nobody asked for."""
    if commit.action in _UNASKED:
        return None
    return octets_of(_head(commit.wall, commit.by, commit.action, DONE, commit.index) | what_happened(commit))


def of_refused(write: Write[Any], by: Caller, error: DiscoveryError, index: int, wall: float) -> bytes:
    """`index`: the registry's."""
    subject = write.subject
    instance = {"id": subject.id, "ip": subject.ip, "port": subject.port}
    named = {
        name: _text(value) if isinstance(value, str) else value for name, value in instance.items() if value is not None
    }
    said = {
        "service": subject.service and _text(subject.service),
        "instance": named or None,
        "before": None,
        "after": None,
        "error": _text(str(error)),
    }
    return octets_of(_head(wall, by, write.action, type(error).__name__, index) | said)


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


def _head(wall: float, by: Caller, action: str, outcome: str, index: int) -> Json:
    who = {"name": _text(by.name), "address": _text(by.address)}
    return {"time": iso(wall), "by": who, "action": action, "outcome": outcome, "index": index}


def _text(text: str) -> str:
    """Bounded, and in Unicode for sure (what came in a URL need not be)."""
    return text[:MAX_TEXT].encode("utf-8", "backslashreplace").decode()
