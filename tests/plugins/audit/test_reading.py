"""Reading it back: in order across rotations, also one that comes while it is read; what is cut or foreign is counted, never believed."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from discovery.plugins.audit.file import AuditFile, predecessor
from discovery.plugins.audit.search import NoAuditFile, content_of, opened


def line(number: int) -> bytes:
    content = {
        "time": "2026-01-31T12:00:00.000Z",
        "action": "drain",
        "by": {"name": "", "address": ""},
        "index": number,
    }
    return orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE)


def read(path: Path) -> tuple[list[int], int]:
    """The numbers, and how many lines are broken."""
    with opened(path) as files:
        found = [content_of(octets) for file in files for octets in file]
    return [content["index"] for content in found if content], found.count(None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """With twelve predecessors, so that 10 is not read before 2."""
    path = tmp_path / "audit.jsonl"
    file = AuditFile(path, len(line(10)), 12)
    file.append([line(number) for number in range(10, 23)])
    file.close()
    return path


def test_all_of_it_is_read_in_order(path: Path) -> None:
    assert predecessor(path, 12).exists()
    assert read(path) == (list(range(10, 23)), 0)


def test_predecessors_alone_are_enough_and_other_files_are_none(path: Path) -> None:
    path.unlink()
    predecessor(path, 5).unlink()
    for name in ("audit.jsonl.bak", "audit.jsonl.1.gz", "audit.jsonl.-1", "audit.jsonl.²", "audit.jsonlx.1"):
        (path.parent / name).write_bytes(line(99))
    assert read(path) == ([number for number in range(10, 22) if number != 17], 0)


def test_a_rotation_while_it_is_opened_loses_nothing_and_shows_nothing_twice(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each file that the reader opens, the server puts one aside."""
    server = AuditFile(path, len(line(10)), 100)
    to_come = iter(range(23, 99))
    usual = Path.open

    def open_and_rotate(self: Path, *arguments: str) -> object:
        file = usual(self, *arguments)  # type: ignore[call-overload]
        server.append([line(next(to_come))])
        return file

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", open_and_rotate)
        indexes, _ = read(path)
    server.close()
    assert indexes[-1] == 22
    assert indexes == sorted(set(indexes))


@pytest.mark.parametrize(
    "broken",
    [
        b"\n",
        b"no JSON\n",
        b'"text"\n',
        b"[]\n",
        b"{}\n",
        line(1)[:-20] + b"\n",
        b'{"time": 5, "action": "drain", "by": {}}\n',
        b'{"time": "", "action": "drain", "by": "me"}\n',
        b'{"time": "", "action": "drain", "by": {}, "before": "x"}\n',
        b'{"time": "", "action": "drain", "by": {}, "instance": []}\n',
        b"\xff\xfe\n",
        b"[" * 100_000 + b"\n",
    ],
)
def test_a_line_that_is_none_of_ours_is_counted_and_left_out(path: Path, broken: bytes) -> None:
    path.write_bytes(line(22) + broken + line(23))
    assert read(path) == (list(range(10, 24)), 1)


@pytest.mark.parametrize("left", [1, 20, len(line(23)) - 1])
def test_the_last_line_may_be_cut(path: Path, left: int) -> None:
    path.write_bytes(line(22) + line(23)[:left])
    assert read(path) == (list(range(10, 23)), 1)


def test_where_there_is_none_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(NoAuditFile, match=r"nothing cannot be read: there is no such file; AUDIT_FILE or --file"):
        read(tmp_path / "nothing")
    with pytest.raises(NoAuditFile, match="Is a directory"):
        read(tmp_path)
