"""Instances, windows and tombstones as rows of the database and back. Each row carries a checksum: SQLite checks its pages' structure,
not what is in them.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Mapping
from typing import Any

import orjson

from discovery.core.caller import NOBODY, Caller
from discovery.core.check import Check
from discovery.core.errors import InvalidField
from discovery.core.event import Drained
from discovery.core.instance import OPTIONS, Instance, Key, Registration
from discovery.core.maintenance import Scope, Window
from discovery.core.revocation import Revocation
from discovery.core.shared import shared

Row = tuple[Any, ...]

_PLAIN = Registration(name="", ip="", port=0)
# Stored only where they differ from these.
_DEFAULTS = [(field, getattr(_PLAIN, field)) for field, _ in OPTIONS]
_NO_OPTIONS = "{}"
# Among the options: no field of a registration has this name.
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


def kept(instance: Instance) -> Row:
    """What may change of a row."""
    return instance.draining_since, instance.registrant, instance.spec


def of_instance(instance: Instance) -> Row:
    spec = instance.spec
    return sealed(
        instance.id, instance.registered_at, instance.draining_since, spec.name, spec.ip, spec.port, spec.metadata, _options(instance)
    )  # fmt: skip


def instance(row: Row) -> Instance:
    return _instance(*opened(row))


def of_drained(key: Key, drained: Drained) -> Row:
    return sealed(*key, drained.id, drained.name, drained.registered_at, drained.since, drained.until)


def drained(row: Row) -> tuple[Key, Drained]:
    service, ip, port, *rest = opened(row)
    return Key(service, ip, port), Drained(*rest)


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
    spec = Registration(name=name, ip=ip, port=port, metadata=metadata, **chosen)
    return Instance(id, registered_at, spec, draining_since, registrant=by)


def of_window(scope: Scope, window: Window) -> Row:
    return sealed(*scope, window.reason, window.until)


def window(row: Row, openers: Mapping[Scope, str]) -> tuple[Scope, Window]:
    """`openers`: by which token, where that was not an admin."""
    service, ip, port, reason, until = opened(row)
    scope = Scope(service, ip, port)
    return scope, Window(reason, until, openers.get(scope, ""))


def of_window_opener(scope: Scope, token: str) -> Row:
    return sealed(*scope, token)


def window_opener(row: Row) -> tuple[Scope, str]:
    service, ip, port, token = opened(row)
    return Scope(service, ip, port), token


def of_tombstone(key: Key, until: float) -> Row:
    """`until`: seconds since the epoch."""
    return sealed(*key, until)


def tombstone(row: Row) -> tuple[Key, float]:
    service, ip, port, until = opened(row)
    return Key(service, ip, port), until


def of_revoked(sha256: bytes, revoked: Revocation) -> Row:
    return sealed(sha256, *revoked)


def revoked(row: Row) -> tuple[bytes, Revocation]:
    sha256, *rest = opened(row)
    return sha256, Revocation(*rest)


def _options(instance: Instance) -> str:
    spec, by = instance.spec, instance.registrant
    options = {name: value for name, default in _DEFAULTS if (value := getattr(spec, name)) != default}
    if spec.check is not None:
        options["check"] = spec.check.shown()
    if by != NOBODY:
        options[_REGISTRANT] = by[:2]
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
