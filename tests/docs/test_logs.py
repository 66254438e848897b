"""docs/logs.md against the code: each line that is logged is an event of that page, with the fields that stand there, and no other."""

from __future__ import annotations

import ast
import functools
import json
import logging
import re
from collections import defaultdict
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import pytest

import discovery
from discovery.cli import logs
from discovery.core.caller import SERVER
from discovery.core.event import Commit, InstanceEvent, Kind
from discovery.core.instance import Instance, Registration
from discovery.core.kinds import KINDS
from discovery.core.status import Status
from discovery.store.change_log import log_commit

PACKAGE = Path(discovery.__file__).parent
PAGE = (PACKAGE / "docs" / "logs.md").read_text()
LOGGERS = ("_log", "self._log", "logger")
LEVELS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
_ROW = re.compile(r"^\| ((?:`[a-z_]+\.[a-z_]+`(?:, )?)+) \|([^|]*)\|", re.M)


class Line(NamedTuple):
    """`event`: a pattern, where it is put together. `more`: there are fields that the code does not name at this place."""

    where: str
    event: str | None
    fields: frozenset[str]
    more: bool


# Not of the server: `discovery run` says what it does to whoever started it.
ELSEWHERE = 'logging.getLogger("discovery.run")'


@functools.cache
def lines() -> list[Line]:
    return list(logged())


def logged() -> Iterator[Line]:
    for file in sorted(PACKAGE.rglob("*.py")):
        text = file.read_text()
        if "client" in file.relative_to(PACKAGE).parts:  # the SDK imports nothing of the server; its log is its user's
            continue
        if f"_log = {ELSEWHERE}" in text or not any(of in text for of in LOGGERS):
            continue
        for node in ast.walk(ast.parse(text)):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in LEVELS
                and ast.unparse(node.func.value) in LOGGERS
            ):
                line = line_of(node, f"{file.relative_to(PACKAGE)}:{node.lineno}")
                yield from of_kinds(line) if line.event == "*.*" else of_parts(line)


def of_kinds(line: Line) -> Iterator[Line]:
    """The one line of all kinds of `core.kinds`."""
    for kind in (each.kind for each in KINDS.values() if each.kind.text):
        for verb in dict.fromkeys(kind.log_verbs or kind.verbs):
            yield line._replace(where=f"{line.where} {kind.noun}.{verb}", event=f"{kind.noun}.{verb}")


def of_parts(line: Line) -> Iterator[Line]:
    """A line of what is there several times, and begins with whose it is."""
    file = line.where.partition(":")[0]
    for name in PARTS.get(file, "*") if str(line.event).startswith("*") else "*":
        yield line._replace(event=line.event and line.event.replace("*", name, 1))


def line_of(call: ast.Call, where: str) -> Line:
    """Its sentence has no other values than those that are named in it."""
    values = call.args[-1]
    if not isinstance(values, ast.Dict):
        return Line(where, None, frozenset(), False)
    named = {
        each.value: value
        for each, value in zip(values.keys, values.values, strict=True)
        if isinstance(each, ast.Constant)
    }
    more = None in values.keys
    sentence = ast.literal_eval(call.args[-2])
    assert more or set(re.findall(r"%\((\w+)\)", sentence)) <= named.keys(), where
    fields = frozenset(str(name) for name in named if name != "event" and not str(name).startswith("_"))
    return Line(where, event_of(named["event"]), fields, more)


def event_of(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "*" for part in node.values)
    return None


PARTS = {
    "system/background_writer.py": ("journal", "history", "audit"),
    "system/files.py": ("zones", "certificate", "tokens", "transfer_keys", "client_zones"),
}
DOCUMENTED: dict[str, frozenset[str]] = {
    event: frozenset(re.findall(r"`(\w+)`", fields))
    for events, fields in _ROW.findall(PAGE)
    for event in re.findall(r"`([a-z_.]+)`", events)
}


def test_each_line_of_the_log_is_an_event_of_the_page() -> None:
    """One that is none takes {'event': 'noun.verb', …}, and a row in docs/logs.md."""
    assert len(lines()) > 50
    assert [
        line
        for line in lines()
        if line.event is None or not any(fnmatchcase(event, line.event) for event in DOCUMENTED)
    ] == []


def test_each_event_of_the_page_has_the_fields_that_stand_there() -> None:
    said, more = defaultdict[str, set[str]](set), set()
    whole = {line.event for line in lines() if line.event in DOCUMENTED}  # not put together
    for line in lines():
        for event in DOCUMENTED:
            if line.event == event or (
                line.event is not None and event not in whole and fnmatchcase(event, line.event)
            ):
                said[event] |= line.fields
                if line.more:
                    more.add(event)
    assert said.keys() == DOCUMENTED.keys(), "an event that nothing logs"
    wrong = {
        event: said[event] ^ fields
        for event, fields in DOCUMENTED.items()
        if not (said[event] <= fields if event in more else said[event] == fields)
    }
    assert not wrong


def test_the_example_is_what_a_change_looks_like(capsys: pytest.CaptureFixture[str]) -> None:
    text, line = re.findall(r"^(2026-\S+ WARNING .*|\{.*\})$", PAGE, re.M)
    shown = json.loads(line)
    spec = Registration.of(shown["service"], shown["ip"], shown["port"])
    gone = Instance(shown["id"], 0.0, spec, status=Status.UNHEALTHY)
    event = InstanceEvent(Kind.UNHEALTHY, shown["service"], gone, gone, shown["reason"])
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        for format in ("text", "json"):
            logs.configure("info", format)
            log_commit(Commit(shown["index"], 0.0, SERVER, "advance", (event,)))
            root.handlers[0].flush()
        said, written = capsys.readouterr().err.splitlines()
    finally:
        root.handlers[:], level = before
        root.setLevel(level)
    assert said.partition(" ")[2] == text.partition(" ")[2]
    assert list(json.loads(written)) == list(shown), "the same fields, in the same order"
    assert json.loads(written) | {"time": shown["time"]} == shown
    assert text.startswith(shown["time"])


def test_each_kind_of_change_has_its_row() -> None:
    kinds = {event.partition(".")[2] for event in DOCUMENTED if event.startswith("instance.")}
    assert kinds - {"output"} == set(Kind) - {Kind.RESTORED}, "those that are restored are one line of the journal"
