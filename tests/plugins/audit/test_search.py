"""The newest lines first, a page at a time: what is asked for, in order, none twice and none missing, however the blocks fall."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discovery.core.errors import InvalidField
from discovery.plugins.audit import search as searches
from discovery.plugins.audit.file import AuditFile, predecessor
from discovery.plugins.audit.search import Asked, Cursor, NoAuditFile, Page, Search
from discovery.rest.api.times import iso
from tests.examples import examples

WALL = 1_769_860_800  # 2026-01-31T12:00:00Z


def line(
    number: int, name: str = "ci", address: str = "10.0.0.9", service: str | None = "web", text: str = ""
) -> bytes:
    content = {
        "time": iso(WALL + number), "by": {"name": name, "address": address}, "action": "drain", "outcome": "done", "index": number,
        "service": service, "reason": text,
    }  # fmt: skip
    return orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE)


def search(path: Path, **asked: object) -> Page:
    return Search(path, Asked(**asked), ended=lambda: False).page()  # type: ignore[arg-type]


def numbers(page: Page) -> list[int]:
    return [orjson.loads(each)["index"] for each in page.lines]


def pages(path: Path, **asked: object) -> list[list[int]]:
    """All of them, one after the other."""
    found, cursor = [], None
    while True:
        page = search(path, **asked, before=cursor)
        found.append(numbers(page))
        cursor = page.next
        if cursor is None:
            return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Lines 0 to 29 in eleven files."""
    file = AuditFile(tmp_path / "audit.jsonl", 3 * len(line(10)), 20)
    file.append([line(number) for number in range(30)])
    file.close()
    return tmp_path / "audit.jsonl"


def test_a_cursor_holds_while_files_are_put_aside_and_grow(path: Path) -> None:
    page = search(path, limit=5)
    file = AuditFile(path, 3 * len(line(10)), 20)
    file.append([line(number) for number in range(30, 40)])
    file.close()
    assert numbers(search(path, before=page.next)) == list(range(24, -1, -1))


def test_a_cursor_of_a_file_that_is_gone_is_refused(path: Path) -> None:
    with pytest.raises(InvalidField, match="before"):
        search(path, before=Cursor(1, 0))


def test_a_cursor_is_not_taken_for_that_of_a_later_file_at_the_same_inode(tmp_path: Path) -> None:
    """File systems hand out the inode of a deleted file again at once: the newest lines would come as the older ones."""
    path = tmp_path / "audit.jsonl"
    path.write_bytes(line(0) + line(1) + line(2))
    cursor = search(path, limit=1).next
    inode = path.stat().st_ino
    path.write_bytes(line(10) + line(11) + line(12))
    assert path.stat().st_ino == inode
    with pytest.raises(InvalidField, match="before"):
        search(path, before=cursor)


def test_only_what_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_bytes(
        b"".join(
            [
                line(0, "zoe"),
                line(1, service="Web"),
                line(2, address="10.0.0.7"),
                line(3, service=None),
                line(4, service="webb"),
            ]
        )
    )
    assert numbers(search(path, actor="zoe")) == [0]
    assert numbers(search(path, actor="10.0.0.7")) == [2]
    assert numbers(search(path, service="web")) == [2, 1, 0]
    assert numbers(search(path, since=WALL + 1, until=WALL + 3)) == [2, 1]


def test_a_search_ends_long_before_the_time_from_which_on_it_was_asked_for(tmp_path: Path) -> None:
    """And not at the first older line: the clock may have been set."""
    path = tmp_path / "audit.jsonl"
    path.write_bytes(b"not ours\n" + line(0) + line(8000) + line(5000) + line(9000))
    page = search(path, since=WALL + 8000)
    assert (numbers(page), page.next, page.broken) == ([9000, 8000], None, 0)


def test_files_of_much_later_lines_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_bytes(line(9000) + b"not ours\n")
    predecessor(path, 1).write_bytes(line(0))
    page = search(path, until=WALL + 100)
    assert (numbers(page), page.broken) == ([0], 0)


def test_lines_that_are_cut_or_not_ours_are_counted_and_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_bytes(line(0) + b"[]\n{}\n" + line(1)[:-20] + b"\n" + line(2) + line(3)[:-1])
    page = search(path)
    assert (numbers(page), page.broken) == ([2, 0], 4)


def test_a_page_takes_its_time_and_no_more(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next goes on where it stopped, so that a question to which there is no answer ends, too."""
    monkeypatch.setattr(searches, "BLOCK", 100)
    clock = count(0.0, 0.6)
    asked = Asked(actor="nobody")
    found = 0
    while True:
        page = Search(path, asked, lambda: False, lambda: next(clock)).page()
        assert not page.lines
        found += 1
        if page.next is None:
            break
        asked = replace(asked, before=page.next)
    assert found > 5


def test_a_page_has_two_mebibytes_or_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searches, "MAX_OCTETS", 1000)
    path = tmp_path / "audit.jsonl"
    path.write_bytes(line(0) + line(1, text="x" * 5000) + line(2) + line(3))
    assert pages(path) == [[3, 2], [1], [0]]


def test_without_a_file_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(NoAuditFile, match="there is no such file"):
        search(tmp_path / "audit.jsonl")


@settings(max_examples=examples(40))
@given(st.lists(st.integers(0, 300), max_size=20), st.integers(1, 700), st.integers(1, 25), st.integers(1, 3000))
def test_the_newest_come_first_page_after_page_however_blocks_and_files_fall(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], block: int, limit: int, of_file: int
) -> None:
    path = tmp_path_factory.mktemp("audit") / "audit.jsonl"
    file = AuditFile(path, of_file, 20)
    file.append([line(number, text="x" * size) for number, size in enumerate(sizes)])
    file.close()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(searches, "BLOCK", block)
        found = pages(path, limit=limit)
    assert [number for page in found for number in page] == list(range(len(sizes) - 1, -1, -1))
    assert all(len(page) == limit for page in found[:-1])
