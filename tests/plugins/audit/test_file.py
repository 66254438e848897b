"""The file: rotated at its exact size, whole lines only, its owner's alone, and made anew when somebody takes it away."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from discovery.plugins.audit.file import AuditFile, AuditFileUnusable, predecessor
from discovery.system.background_writer import WriteRefused
from tests.stories.liveness.volume import volume

LINE = b"123456789\n"


def line(number: int) -> bytes:
    return b"%09d\n" % number


def numbers(path: Path) -> list[int]:
    return [int(text) for text in path.read_bytes().split()] if path.exists() else []


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "audit.jsonl"


def test_a_file_is_full_to_the_octet_and_then_put_aside(path: Path) -> None:
    file = AuditFile(path, 3 * len(LINE), 2)
    for number in range(3):
        file.append([line(number)])
    assert (numbers(path), predecessor(path, 1).exists()) == ([0, 1, 2], False)
    file.append([line(3)])
    assert (numbers(path), numbers(predecessor(path, 1))) == ([3], [0, 1, 2])
    file.close()


def test_one_octet_too_many_is_too_many(path: Path) -> None:
    file = AuditFile(path, 3 * len(LINE) - 1, 2)
    file.append([line(number) for number in range(3)])
    assert (numbers(path), numbers(predecessor(path, 1))) == ([2], [0, 1])
    file.close()


def test_lines_that_come_together_are_rotated_as_if_they_came_alone(path: Path) -> None:
    file = AuditFile(path, 3 * len(LINE), 3)
    file.append([line(number) for number in range(11)])
    kept = [numbers(predecessor(path, number)) for number in (3, 2, 1)]
    assert (kept, numbers(path)) == ([[0, 1, 2], [3, 4, 5], [6, 7, 8]], [9, 10])
    assert not predecessor(path, 4).exists()
    file.append([line(number) for number in range(11, 14)])
    kept = [numbers(predecessor(path, number)) for number in (3, 2, 1)]
    assert (kept, numbers(path)) == ([[3, 4, 5], [6, 7, 8], [9, 10, 11]], [12, 13])
    assert not predecessor(path, 4).exists()
    file.close()


def test_a_line_that_is_longer_than_a_file_has_one_for_itself(path: Path) -> None:
    file = AuditFile(path, 25, 3)
    file.append([LINE, b"x" * 99 + b"\n", LINE])
    assert [predecessor(path, number).stat().st_size for number in (2, 1)] == [10, 100]
    assert path.read_bytes() == LINE
    file.close()


def test_a_single_predecessor_is_replaced(path: Path) -> None:
    file = AuditFile(path, len(LINE), 1)
    file.append([line(number) for number in range(3)])
    assert (numbers(predecessor(path, 1)), numbers(path)) == ([1], [2])
    file.close()


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_a_gap_that_a_crash_left_is_filled_and_nothing_dropped(path: Path, missing: int) -> None:
    file = AuditFile(path, len(LINE), 3)
    file.append([line(number) for number in range(4)])
    predecessor(path, missing).unlink()
    left = [numbers(predecessor(path, number)) for number in (3, 2, 1) if number != missing]
    file.append([line(4)])
    assert [numbers(predecessor(path, number)) for number in (3, 2, 1)] == [*left, [3]]
    file.close()


def test_what_was_written_before_counts_after_a_restart(path: Path) -> None:
    for number in range(4):
        file = AuditFile(path, 3 * len(LINE), 2)
        file.append([line(number)])
        file.close()
    assert (numbers(path), numbers(predecessor(path, 1))) == ([3], [0, 1, 2])


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_only_its_owner_may_read_it_whatever_the_umask(path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        file = AuditFile(path, len(LINE), 2)
        file.append([LINE, LINE])
        file.close()
    finally:
        os.umask(before)
    for each, mode in ((path, 0o600), (predecessor(path, 1), 0o600), (path.parent, 0o700)):
        assert stat.S_IMODE(each.stat().st_mode) == mode


def test_after_a_crash_the_cut_line_stays_and_the_next_begins_on_its_own(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(LINE + b"12345")
    file = AuditFile(path, 1000, 2)
    file.append([LINE])
    file.close()
    assert path.read_bytes() == LINE + b"12345\n" + LINE


def test_nothing_is_ever_written_over(path: Path) -> None:
    """Even what somebody else appends meanwhile."""
    file = AuditFile(path, 1000, 2)
    file.append([line(1)])
    with path.open("ab") as other:
        other.write(line(2))
    file.append([line(3)])
    file.close()
    assert numbers(path) == [1, 2, 3]


@pytest.mark.parametrize("taken", ["moved", "deleted", "with its folder"])
def test_a_file_that_was_taken_away_is_made_anew(path: Path, taken: str) -> None:
    file = AuditFile(path, 1000, 2)
    file.append([line(1)])
    moved = path.with_name("moved")
    path.rename(moved)
    if taken != "moved":
        moved.unlink()
    if taken == "with its folder":
        path.parent.rmdir()
        with pytest.raises(WriteRefused, match="No such file") as failed:
            file.append([line(2)])
        assert failed.value.written == 0
        path.parent.mkdir()
    file.append([line(2)])
    file.close()
    assert numbers(path) == [2]
    assert taken != "moved" or numbers(moved) == [1]


def test_one_that_cannot_be_rotated_does_not_grow(path: Path) -> None:
    file = AuditFile(path, 2 * len(LINE), 1)
    predecessor(path, 1).mkdir()
    with pytest.raises(WriteRefused) as failed:
        file.append([line(number) for number in range(4)])
    assert failed.value.written == 2
    assert numbers(path) == [0, 1]
    predecessor(path, 1).rmdir()
    file.append([line(2), line(3)])
    assert (numbers(path), numbers(predecessor(path, 1))) == ([2, 3], [0, 1])
    file.close()


@pytest.mark.parametrize("what", ["a folder", "under a file", "a device"])
def test_what_cannot_be_a_file_is_said_with_the_way_out(path: Path, what: str) -> None:
    path.parent.mkdir()
    given = {"a folder": path, "under a file": path / "audit.jsonl", "a device": Path("/dev/null")}[what]
    if what == "a folder":
        path.mkdir()
    elif what == "under a file":
        path.touch()
    with pytest.raises(AuditFileUnusable, match=f"AUDIT_FILE: {given} cannot be written: .+; name a file"):
        AuditFile(given, 1000, 2)


def test_what_was_appended_is_synced_and_what_could_not_be_is_taken_back(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = AuditFile(path, 1000, 2)
    file.append([line(1)])

    def refuses(descriptor: int) -> None:
        assert path.read_bytes() == line(1) + line(2)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", refuses)
    with pytest.raises(WriteRefused, match="Input/output error") as failed:
        file.append([line(2)])
    assert (failed.value.written, numbers(path)) == (0, [1])
    monkeypatch.undo()
    file.append([line(2)])
    file.close()
    assert numbers(path) == [1, 2]


def test_a_disk_that_is_full_takes_whole_lines_or_none(tmp_path: Path) -> None:
    with volume(tmp_path, "size=64k") as small:
        path = Path(f"/proc/{small.prefix[2]}/root{tmp_path}/audit.jsonl")
        file = AuditFile(path, 1_000_000, 2)
        long = b"x" * 9999 + b"\n"
        with pytest.raises(WriteRefused, match="No space left") as failed:
            file.append([long] * 7)
        assert (failed.value.written, path.read_bytes()) == (0, b"")
        for _ in range(6):  # 64 KiB are six of 10,000 octets
            file.append([long])
        with pytest.raises(WriteRefused, match="No space left"):
            file.append([long])
        assert path.read_bytes() == long * 6
        small.fill()
        file.append([LINE])  # the rest of the last page is still free
        with pytest.raises(WriteRefused, match="No space left"):
            file.append([long])
        small.free()
        file.append([LINE])
        assert path.read_bytes() == long * 6 + LINE * 2
        file.close()
