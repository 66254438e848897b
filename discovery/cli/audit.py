"""`discovery audit`: what AUDIT_FILE and its predecessors say, oldest first, for people or (`--json`) for programs."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from discovery.cli.logs import escaped
from discovery.core.name import fold
from discovery.plugins.audit import text
from discovery.plugins.audit.line import octets_of
from discovery.plugins.audit.reading import Reading
from discovery.plugins.audit.settings import AuditSettings
from discovery.rest.api.times import iso
from discovery.system.env import SettingsError

TEXT = "show who changed what, and how it was before (AUDIT_FILE)"

_Content = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--file", metavar="FILE", type=Path, help="instead of AUDIT_FILE; FILE.1, FILE.2, … are read too"
    )
    parser.add_argument("--service", metavar="NAME", help="only what was done to it")
    parser.add_argument("--by", metavar="WHO", help="only what was done with this token, or from this address")
    parser.add_argument(
        "--since", metavar="TIME", type=_time, help="such as 2026-01-31T12:00Z; UTC where no zone is given"
    )
    parser.add_argument("-n", metavar="N", type=_count, help="only the last N lines")
    parser.add_argument("--json", action="store_true", help="the lines as JSON, one each")


def run(arguments: argparse.Namespace) -> int:
    _print_whatever_comes()
    with closing(Reading(arguments.file or _file())) as reading:
        try:
            for line in _last(arguments.n, _chosen(reading, arguments)):
                print(_shown(line, arguments.json))
            sys.stdout.flush()
        except BrokenPipeError:  # `discovery audit | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if reading.broken:
            print(f"discovery: {_counted(reading.broken)} broken and left out", file=sys.stderr)
    return 0


def _shown(content: _Content, as_json: bool) -> str:
    return octets_of(content).decode().removesuffix("\n") if as_json else escaped(text.of_line(content))


def _chosen(reading: Reading, arguments: argparse.Namespace) -> Iterator[_Content]:
    tests: list[Callable[[_Content], bool]] = []
    if arguments.service is not None:
        service = fold(arguments.service)
        tests.append(lambda content: fold(content.get("service") or "") == service)
    if arguments.by is not None:
        tests.append(lambda content: arguments.by in (content["by"].get("name"), content["by"].get("address")))
    if arguments.since is not None:
        tests.append(lambda content: bool(content["time"] >= arguments.since))
    return (line for line in reading if all(test(line) for test in tests))


def _last(count: int | None, lines: Iterator[_Content]) -> Iterator[_Content]:
    return lines if count is None else iter(deque(lines, count))


def _print_whatever_comes() -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _file() -> Path:
    file = AuditSettings.read().audit_file
    if file is None:
        raise SettingsError("AUDIT_FILE: is not set, so there is no audit log here; --file names one")
    return file


def _time(given: str) -> str:
    """As the lines have it: such times are in order as text."""
    try:
        time = datetime.fromisoformat(given)
        return iso((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{given!r} is no ISO 8601 time such as 2026-01-31T12:00Z") from None


def _count(given: str) -> int:
    if not given.isascii() or not given.isdigit() or len(given) > 9:
        raise argparse.ArgumentTypeError(f"{given!r} is no number of lines")
    return int(given)


def _counted(count: int) -> str:
    return "1 line is" if count == 1 else f"{count} lines are"
