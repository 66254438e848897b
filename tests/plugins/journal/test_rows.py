"""Rows: whatever can be registered comes back the same out of a real table, and a changed column is told."""

from __future__ import annotations

import dataclasses
import sqlite3
import string
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from discovery.core.caller import NOBODY, Caller
from discovery.core.check import Check
from discovery.core.codec import FACTS
from discovery.core.event import ValueEvent
from discovery.core.health import Finding, Health
from discovery.core.instance import Instance, Key, Registration
from discovery.core.kinds import (
    KINDS,
    Document,
    DocumentEvent,
    DocumentKey,
    Drained,
    DrainEvent,
    RegistrySettings,
    Revocation,
    SettingsEvent,
    TokenEvent,
    WindowEvent,
)
from discovery.core.maintenance import Scope, Window
from discovery.core.remembered import changed as attached
from discovery.core.remembered import packed
from discovery.plugins.journal import rows, schema
from tests.examples import examples

EDGES = string.ascii_letters + string.digits
LABELS = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?", fullmatch=True, alphabet=EDGES + "-_")
TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=20)
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | TEXT
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=6
)
PORTS = st.integers(1, 65535)
UINT16 = st.integers(0, 65535)
NUMBERS = {"interval": st.floats(1, 3600), "timeout": st.floats(0.1, 60), "failures": st.integers(1, 100)}
PATHS = st.from_regex(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]{0,30}", fullmatch=True)
CHECKS = st.fixed_dictionaries({"http": PATHS}, optional=NUMBERS) | st.fixed_dictionaries(
    {"tcp": st.just(True)}, optional=NUMBERS | {"successes": st.integers(1, 100)}
)
MORE = {
    "name": LABELS, "group": LABELS, "criticalAfter": st.floats(1, 3600), "status": st.sampled_from(["passing", "warning", "failing"]),
}  # fmt: skip
PROBED = {"port": PORTS, "address": st.sampled_from(["10.0.0.8", "db.example.com", "fd00::8"]), **NUMBERS, **MORE}
MANY_CHECKS = st.lists(
    st.fixed_dictionaries(
        {"id": TEXT.filter(str.isprintable).filter(bool), "ttl": st.floats(1, 7 * 86400)}, optional=MORE
    )
    | st.fixed_dictionaries(
        {"id": LABELS, "http": PATHS},
        optional=PROBED
        | {
            "method": st.sampled_from(["GET", "POST"]),
            "headers": st.dictionaries(LABELS, LABELS, max_size=8),
            "body": LABELS,
            "tls": st.booleans(),
            "tlsSkipVerify": st.booleans(),
        },
    )
    | st.fixed_dictionaries({"id": LABELS, "grpc": st.just(True) | LABELS}, optional=PROBED | {"tls": st.booleans()}),
    max_size=4,
    unique_by=lambda check: check["id"],
)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "metadata": st.dictionaries(TEXT, JSON, max_size=4),
    "tags": st.lists(LABELS, max_size=5),
    "ports": st.dictionaries(LABELS.map(str.lower), PORTS, max_size=5),
    "protocol": st.sampled_from(["tcp", "udp", ["tcp", "udp"]]),
    "weight": UINT16,
    "priority": UINT16,
    "warning_weight": UINT16,
    "zone": LABELS,
    "ttl": st.floats(1, 3600) | st.integers(1, 3600),
    "lease": st.just("none"),
    "keep": st.floats(0, 7 * 86400),
    "hold": st.floats(0, 7 * 86400),
    "imported_from": st.just("consul://old:8500"),
    "max_answers": st.integers(1, 65535),
    "checks": CHECKS | MANY_CHECKS,
}


def _allowed(fields: dict[str, Any]) -> dict[str, Any]:
    """One without a lease has none that could end."""
    return {
        name: value for name, value in fields.items() if "lease" not in fields or name not in ("ttl", "keep", "hold")
    }


IPS = st.sampled_from(
    ["10.0.0.1", "127.0.0.1", "203.0.113.255", "2001:db8::1", "::1", "fd00::1:2:3", "Db.example.com."]
)
NAMES = LABELS | st.sampled_from(["Orders DB / eu", "50%", "a%2Fb", "-", "ÄÖ", "../x"])
PLACES = st.builds(Key.of, NAMES, IPS, PORTS | st.none())
SPECS = st.builds(
    lambda name, ip, port, fields: Registration.of(name, ip, port, **_allowed(fields)),
    NAMES, IPS, PORTS, st.fixed_dictionaries({}, optional=FIELDS),
)  # fmt: skip
TIMES = st.floats(0, 4e9) | st.integers(0, 4 * 10**9).map(float)
IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}", fullmatch=True)
BYS = st.just(NOBODY) | st.tuples(IPS, st.sampled_from(["", "ci"])).map(lambda by: Caller(*by))
CONTENTS = JSON.filter(lambda value: value is not None)
FINDINGS = st.builds(Finding, st.sampled_from(Health), TEXT, TIMES)
FACTS_DRAWN = {
    "own": FINDINGS,
    "checks": st.dictionaries(TEXT, FINDINGS, max_size=3),
    "lapsed_at": TIMES,
    "attachments": st.dictionaries(LABELS, CONTENTS, min_size=1, max_size=2).map(partial(attached, ())),
}
INSTANCES = st.builds(
    lambda id, at, spec, since, by, known: Instance(id, at, spec, since, registrant=by, **known),
    IDS, TIMES, SPECS, st.none() | TIMES, BYS, st.fixed_dictionaries({}, optional=FACTS_DRAWN),
)  # fmt: skip
SCOPES = PLACES.map(lambda key: Scope(key.service)) | PLACES.map(Scope.of)
DRAWN: dict[Any, tuple[st.SearchStrategy[Any], st.SearchStrategy[Any]]] = {
    WindowEvent: (SCOPES, st.builds(Window, TEXT, TIMES, TEXT)),
    DrainEvent: (PLACES, st.builds(Drained, IDS, LABELS, TIMES, TIMES, TIMES)),
    SettingsEvent: (st.none(), st.builds(RegistrySettings, TIMES, PORTS, PORTS, PORTS, TIMES)),
    DocumentEvent: (
        st.builds(DocumentKey, LABELS, st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)),
        st.builds(Document, JSON.map(packed), st.none() | LABELS),
    ),
    TokenEvent: (st.binary(min_size=32, max_size=32), st.builds(Revocation, TEXT, TIMES, TEXT, st.none() | TIMES)),
}
VALUES = st.one_of(
    *(
        st.builds(of, key=keys, before=st.none(), after=values, reason=st.just(""))
        for of, (keys, values) in DRAWN.items()
    )
)
TOMBSTONES = st.tuples(PLACES, TIMES)

QUICK = settings(
    max_examples=examples(100), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture
def sql() -> Iterator[sqlite3.Connection]:
    """The tables, in memory."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    schema.migrate(connection, 0)
    yield connection
    connection.close()


def stored(sql: sqlite3.Connection, table: str, put: str, row: rows.Row) -> rows.Row:
    """The row as it is read again."""
    sql.execute(f"DELETE FROM {table}")  # noqa: S608
    sql.execute(put, row)
    found: rows.Row = sql.execute(f"SELECT * FROM {table}").fetchone()  # noqa: S608
    return found


@QUICK
@given(instance=INSTANCES)
def test_an_instance_comes_back_with_every_field(sql: sqlite3.Connection, instance: Instance) -> None:
    found = rows.instance(stored(sql, "instance", schema.PUT_INSTANCE, rows.of_instance(instance)))
    assert found == instance
    for field in dataclasses.fields(Registration):
        here, there = getattr(instance.spec, field.name), getattr(found.spec, field.name)
        assert (type(here), here) == (type(there), there), field.name
    assert type(found.registered_at) is float
    assert type(found.draining_since) is type(instance.draining_since)


@QUICK
@given(event=VALUES)
def test_what_is_kept_besides_comes_back(sql: sqlite3.Connection, event: ValueEvent[Any, Any]) -> None:
    assert rows.value(stored(sql, "value", schema.PUT_VALUE, rows.of_value(event))) == event


def test_every_kind_that_is_kept_is_drawn_above() -> None:
    assert set(DRAWN) == {each for each in KINDS.values() if each.kind.kept}


@QUICK
@given(each=TOMBSTONES)
def test_a_tombstone_comes_back(sql: sqlite3.Connection, each: tuple[Key, float]) -> None:
    assert rows.tombstone(stored(sql, "tombstone", schema.PUT_TOMBSTONE, rows.of_tombstone(*each))) == each


def test_every_field_of_a_registration_is_drawn_above() -> None:
    """`id` counts when an instance is added and is not part of what is stored; a new field has to be drawn, too."""
    assert {field.name for field in dataclasses.fields(Registration)} == {*FIELDS, "name", "ip", "port", "id"}
    assert {fact.field for fact in FACTS} == FACTS_DRAWN.keys()


def test_a_check_comes_back_with_every_field() -> None:
    check = Check(kind="http", id="http", path="/health?a=b", interval=1.5, timeout=0.25, failures=7, successes=9)
    spec = Registration(name="web", ip="10.0.0.1", port=80, checks=(check,))
    assert rows.instance(rows.of_instance(Instance("a", 1.0, spec))).spec.checks == (check,)


def test_a_check_that_an_older_version_wrote_is_read() -> None:
    options = '{"check":{"http":"/health","interval":1.5,"timeout":0.25,"failures":7,"successes":9}}'
    row = rows.sealed("a", 1.0, None, "web", "10.0.0.1", 80, b"{}", options)
    check = Check(kind="http", id="http", path="/health", interval=1.5, timeout=0.25, failures=7, successes=9)
    assert rows.instance(row).spec.checks == (check,)


def other(value: Any) -> Any:
    """Nearly the same."""
    if isinstance(value, bytes):
        return value + b" "
    if isinstance(value, str):
        return value[:-1] + chr(ord(value[-1]) ^ 1)
    return 1 if value is None else value + 1


ROWS = {
    "instance": rows.of_instance(Instance("id", 5.5, Registration.of("web", "10.0.0.1", 80, tags=["a"]))),
    "value": rows.of_value(WindowEvent(Scope("web"), None, Window("because", 7.5), "")),
    "tombstone": rows.of_tombstone(Key("web", "10.0.0.1", 80), 7.5),
}


@pytest.mark.parametrize("kind", ROWS)
def test_a_changed_column_is_a_bad_row(kind: str) -> None:
    row, read = ROWS[kind], getattr(rows, kind)
    read(row)
    for column, value in enumerate(row):
        others: tuple[Any, ...] = (other(value), None if value is not None else "", b"", [], str(value).encode())
        for changed in others:
            with pytest.raises(rows.BadRow, match="is not what was written"):
                read((*row[:column], changed, *row[column + 1 :]))


@pytest.mark.parametrize("kind", ROWS)
def test_a_row_whose_columns_were_swapped_or_lost_is_a_bad_row(kind: str) -> None:
    row, read = ROWS[kind], getattr(rows, kind)
    for at in range(len(row) - 1):
        with pytest.raises(rows.BadRow):
            read(row[:at] + row[at + 1 :])
        if row[at] != row[at + 1]:
            with pytest.raises(rows.BadRow):
                read((*row[:at], row[at + 1], row[at], *row[at + 2 :]))
