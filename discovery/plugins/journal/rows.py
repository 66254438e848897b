"""Instances, tombstones and what is kept besides (`core.kinds`) as rows of the database and back. Each row carries a checksum: SQLite
checks its pages' structure, not what is in them.
"""

from __future__ import annotations

import sqlite3
import sys
import zlib
from collections.abc import Callable
from operator import attrgetter
from typing import Any, TypeVar

from discovery.core import exact_json
from discovery.core.caller import NOBODY, Caller
from discovery.core.check import as_check, as_checks, checks_of
from discovery.core.codec import FACTS, facts, facts_of
from discovery.core.event import ValueEvent
from discovery.core.instance import DEFAULTS, Instance, Key, Registration
from discovery.core.kinds import KINDS
from discovery.core.name import joined, parts_of
from discovery.core.options import OPTIONS
from discovery.core.shared import shared

Row = tuple[Any, ...]
T = TypeVar("T")

# Stored only where they differ from these.
_CHOSEN = attrgetter(*(option.field for option in OPTIONS))
_DEFAULTS = tuple(DEFAULTS[option.field] for option in OPTIONS)
_NO_OPTIONS = "{}"
# Among the options, as the other facts about an instance: no field of a registration has their names.
_REGISTRANT = "registrant"


class BadRow(Exception):
    """A row that is not what was written."""


def checksum(values: Row) -> int:
    return zlib.crc32(repr(values).encode())


def sealed(*values: Any) -> Row:
    return (*values, checksum(values))


def opened(row: Row) -> Row:
    """BadRow when the checksum is another one."""
    if checksum(row[:-1]) != row[-1]:
        raise BadRow(f"the entry {row[0]!r:.80} is not what was written")
    return row[:-1]


def read_all(sql: sqlite3.Connection, table: str, read: Callable[[Row], T]) -> list[T]:
    """All rows of a table, in the order in which they were written first. BadRow."""
    found: list[T] = []
    for number, row in enumerate(sql.execute(f"SELECT * FROM {table} ORDER BY rowid"), 1):  # noqa: S608 - names of ours
        try:
            found.append(read(row))
        except BadRow as bad:
            raise BadRow(f"row {number} of table {table}: {bad}") from None
        except (
            TypeError,
            ValueError,
            KeyError,
            AttributeError,
        ) as error:  # whole, and yet nothing that this version writes
            raise BadRow(f"row {number} of table {table}: the entry {row[0]!r:.80} means nothing: {error}") from None
    return found


def kept(instance: Instance) -> Row:
    """What may change of a row."""
    return (
        instance.draining_since,
        instance.registrant,
        instance.spec,
        *[getattr(instance, fact.field) for fact in FACTS],
    )


def of_instance(instance: Instance) -> Row:
    spec = instance.spec
    return sealed(
        instance.id, instance.registered_at, instance.draining_since, spec.name, spec.ip, spec.port, spec.metadata, _options(instance)
    )  # fmt: skip


def instance(row: Row) -> Instance:
    return _instance(*opened(row))


def of_value(event: ValueEvent[Any, Any]) -> Row:
    """Of the `after` of an event."""
    kind = event.kind
    content = exact_json.dumps(kind.dumps(event.after)).decode()
    until = getattr(event.after, "until", None) if kind.fades else None
    return sealed(kind.name, path(event), content, until)


def path(event: ValueEvent[Any, Any]) -> str:
    return joined(event.kind.keys.path(event.key))


def value(row: Row) -> ValueEvent[Any, Any]:
    """As the event that led to it."""
    name, key, content, _ = opened(row)
    of = KINDS.get(name)
    if of is None:
        raise BadRow(f"the kind {name!r:.80} is not known to this version; a newer one has written it")
    return of(
        key=of.kind.keys.of_path(parts_of(key)),
        before=None,
        after=of.kind.loads(exact_json.loads(content.encode())),
        reason="",
    )


def _instance(
    id: str,
    registered_at: float,
    draining_since: float | None,
    name: str,
    ip: str,
    port: int,
    metadata: bytes,
    options: str,
) -> Instance:
    name, port, metadata = sys.intern(name), shared(port), shared(metadata)  # as of those that register
    if options == _NO_OPTIONS:
        return Instance(id, registered_at, Registration(name=name, ip=ip, port=port, metadata=metadata), draining_since)
    chosen = _from_options(options)
    by = Caller(*chosen.pop(_REGISTRANT, NOBODY[:2])).known
    known = facts_of({fact.name: chosen.pop(fact.name) for fact in FACTS if fact.name in chosen})
    spec = Registration(name=name, ip=ip, port=port, metadata=metadata, **chosen)
    return Instance(id, registered_at, spec, draining_since, registrant=by, **known)


def of_tombstone(key: Key, until: float) -> Row:
    """`until`: seconds since the epoch."""
    return sealed(*key, until)


def tombstone(row: Row) -> tuple[Key, float]:
    service, ip, port, until = opened(row)
    return Key(service, ip, port), until


def _options(instance: Instance) -> str:
    spec, by = instance.spec, instance.registrant
    options, chosen = dict[str, Any](), _CHOSEN(spec)
    if chosen != _DEFAULTS:  # of most nothing was chosen: the comparison takes a fifth of the loop's time
        several = zip(OPTIONS, chosen, _DEFAULTS, strict=True)
        options = {option.field: value for option, value, default in several if value != default}
    if spec.checks:
        options["checks"] = as_check(spec.checks) or as_checks(spec.checks)
    if by != NOBODY:
        options[_REGISTRANT] = by[:2]
    options |= facts(instance)
    return exact_json.dumps(options).decode() if options else _NO_OPTIONS


def _from_options(text: str) -> dict[str, Any]:
    options: dict[str, Any] = exact_json.loads(text.encode())
    if "tags" in options:
        options["tags"] = tuple(options["tags"])
    if "ports" in options:
        options["ports"] = tuple((name, port) for name, port in options["ports"])
    for name in ("checks", "check"):  # an older version wrote the latter
        if name in options:
            options["checks"] = checks_of(options.pop(name))
    return options
