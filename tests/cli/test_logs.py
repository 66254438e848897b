"""The log's two formats: text that no stranger can break out of, JSON lines for machines."""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from discovery.cli import logs

FORGED = "2026-01-01T00:00:00.000Z INFO discovery: forged"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


@pytest.fixture(autouse=True)
def _put_back() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def written(capsys: pytest.CaptureFixture[str], format: str, *message: object, error: Exception | None = None) -> str:
    logs.configure("info", format)
    logging.getLogger("discovery.test").error(*message, exc_info=error)
    logging.getLogger().handlers[0].flush()
    captured = capsys.readouterr()
    assert captured.out == "", "standard output is for the lines that say where it listens"
    return captured.err


def fail(text: str) -> Exception:
    try:
        raise RuntimeError(text)
    except RuntimeError as error:
        return error


def test_text_is_time_level_logger_message(capsys: pytest.CaptureFixture[str]) -> None:
    line = written(capsys, "text", "hello %s", "Zoë")
    assert re.fullmatch(TIME + r" ERROR discovery\.test: hello Zoë\n", line)


def test_json_is_an_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    line = written(capsys, "json", 'say "%s"', "a\nb\x1b\0\u2028")
    assert line.count("\n") == 1
    assert line.endswith("\n")
    content = json.loads(line)
    assert re.fullmatch(TIME, content.pop("time"))
    assert content == {"level": "error", "logger": "discovery.test", "message": 'say "a\nb\x1b\0\u2028"'}


def test_fields_stand_beside_the_text_and_empty_ones_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    values = {
        "event": "instance.expired", "service": "a\u202eb\n", "port": 80, "actor": "", "ip": None, "file": Path("x"), "zones": ["a."],
        "level": "forged", "_where": "here",
    }  # fmt: skip
    logging.getLogger("discovery.test").warning("gone from %(_where)s", values)
    logging.getLogger().handlers[0].flush()
    line = capsys.readouterr().err
    assert line.isascii()
    assert line.count("\n") == 1
    content = json.loads(line)
    del content["time"]
    assert content == {
        "level": "warning", "logger": "discovery.test", "event": "instance.expired", "message": "gone from here", "service": "a\u202eb\n",
        "port": 80, "file": "x", "zones": ["a."],
    }  # fmt: skip


def test_as_text_the_log_has_the_sentence_alone(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "text")
    logging.getLogger("discovery.test").warning("%(service)s is gone", {"event": "instance.expired", "service": "api"})
    logging.getLogger().handlers[0].flush()
    assert re.fullmatch(TIME + r" WARNING discovery\.test: api is gone\n", capsys.readouterr().err)


@pytest.mark.parametrize("nasty", [f"\n{FORGED}", f"\r{FORGED}", "\x1b[2J", "\0", "\x7f", "\x85", "\u2028", "\x9b31m"])
def test_no_strangers_text_starts_a_line_or_moves_the_cursor(capsys: pytest.CaptureFixture[str], nasty: str) -> None:
    line = written(capsys, "text", "from %s", f"a{nasty}b")
    assert len(line.splitlines()) == 1
    assert line.removesuffix("\n").isprintable()


def test_a_traceback_is_in_the_text(capsys: pytest.CaptureFixture[str]) -> None:
    text = written(capsys, "text", "failed", error=fail("why"))
    assert "Traceback" in text
    assert "RuntimeError: why" in text


def test_an_error_that_quotes_a_stranger_cannot_forge_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    text = written(capsys, "text", "failed", error=fail(f"bad value '\n{FORGED}\x1b[2J'"))
    assert "forged" in text
    assert not any(line.startswith(FORGED) for line in text.splitlines())
    assert "\x1b" not in text


def test_a_traceback_is_a_field_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    line = written(capsys, "json", "failed", error=fail("why\nnot"))
    assert line.count("\n") == 1
    assert "RuntimeError: why\nnot" in json.loads(line)["exception"]


@pytest.mark.parametrize(("level", "shown"), [("debug", "diwe"), ("info", "iwe"), ("warning", "we"), ("error", "e")])
def test_the_level_is_the_least_that_is_shown(capsys: pytest.CaptureFixture[str], level: str, shown: str) -> None:
    logs.configure(level, "json")
    log = logging.getLogger("discovery.test")
    for each in (log.debug, log.info, log.warning, log.error):
        each("x")
    logging.getLogger().handlers[0].flush()
    lines = capsys.readouterr().err.splitlines()
    assert "".join(json.loads(line)["level"][0] for line in lines) == shown


def test_it_can_be_configured_again(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("error", "text")
    assert written(capsys, "json", "once").count("\n") == 1


class Slow(logging.Handler):
    """Whoever reads the log, and does not until it may."""

    def __init__(self) -> None:
        super().__init__()
        self.reads, self.may_read = threading.Event(), threading.Event()
        self.read: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.reads.set()
        self.may_read.wait(60)
        self.read.append(record)


def test_lines_that_nobody_reads_are_dropped_and_counted_and_the_server_goes_on() -> None:
    """A mass of leases that run out says a line for each."""
    slow, more = Slow(), 500
    logging.basicConfig(level="INFO", handlers=[logs.Background(slow)], force=True)
    log = logging.getLogger("discovery.test")
    log.info("the one that is being read")
    slow.reads.wait(60)
    for number in range(logs.MAX_WAITING + more):
        log.info("line %d", number)
    slow.may_read.set()
    told = [record for record in read_by(slow, logs.MAX_WAITING + 2) if record.name == "discovery.log"]
    assert [record.args for record in told] == [{"event": "log.dropped", "lines": more}]
    assert told[0].getMessage() == f"{more} lines were dropped: the log is read too slowly"


def read_by(slow: Slow, count: int) -> list[logging.LogRecord]:
    deadline = time.monotonic() + 60
    while len(slow.read) < count:
        assert time.monotonic() < deadline, len(slow.read)
        time.sleep(0.001)
    return slow.read
