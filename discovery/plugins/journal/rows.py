"""Instances, windows and tombstones as rows of the database and back. Each row carries a checksum: SQLite checks its pages' structure,
not what is in them.
"""

from __future__ import annotations

import zlib
from typing import Any

import orjson

from discovery.core.check import Check
from discovery.core.errors import InvalidField
from discovery.core.instance import Instance, Key, Registration
from discovery.core.maintenance import Scope, Window

Row = tuple[Any, ...]

_PLAIN = Registration(name="", ip="", port=0)
# What a registration may have besides name, ip, port and metadata, and is stored only where it differs from the default.
_OPTIONS = ("tags", "ports", "protocol", "weight", "priority", "zone", "ttl", "max_answers")
_NO_OPTIONS = "{}"


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


def of_instance(instance: Instance) -> Row:
    spec = instance.spec
    return sealed(
        instance.id, instance.registered_at, instance.draining_since, spec.name, spec.ip, spec.port, spec.metadata, _options(spec)
    )  # fmt: skip


def instance(row: Row) -> Instance:
    id, registered_at, draining_since, name, ip, port, metadata, options = opened(row)
    if options == _NO_OPTIONS:
        spec = Registration(name=name, ip=ip, port=port, metadata=metadata)
    else:
        spec = Registration(name=name, ip=ip, port=port, metadata=metadata, **_from_options(options))
    return Instance(id, registered_at, spec, draining_since)


def of_window(scope: Scope, window: Window) -> Row:
    return sealed(scope.service, scope.ip, scope.port, window.reason, window.until)


def window(row: Row) -> tuple[Scope, Window]:
    service, ip, port, reason, until = opened(row)
    return Scope(service, ip, port), Window(reason, until)


def of_tombstone(key: Key, until: float) -> Row:
    """`until`: seconds since the epoch."""
    return sealed(*key, until)


def tombstone(row: Row) -> tuple[Key, float]:
    service, ip, port, until = opened(row)
    return Key(service, ip, port), until


def _options(spec: Registration) -> str:
    options = {name: value for name in _OPTIONS if (value := getattr(spec, name)) != getattr(_PLAIN, name)}
    if spec.check is not None:
        options["check"] = spec.check.shown()
    return orjson.dumps(options).decode() if options else _NO_OPTIONS


def _from_options(text: str) -> dict[str, Any]:
    options: dict[str, Any] = orjson.loads(text)
    if "tags" in options:
        options["tags"] = tuple(options["tags"])
    if "ports" in options:
        options["ports"] = tuple((name, port) for name, port in options["ports"])
    if "check" in options:
        options["check"] = _check(options["check"])
    return options


def _check(value: object) -> Check:
    try:
        return Check.of(value)
    except InvalidField as error:  # another version's, with other rules
        raise BadRow(f"a check is not one: {error}") from None
