"""The write-ahead log that a killed process leaves behind: whole, cut off anywhere, used again, and with bits flipped."""

from __future__ import annotations

import contextlib
import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from discovery.core.instance import Instance
from discovery.plugins.journal import wal as wals
from discovery.plugins.journal.errors import Damaged
from discovery.plugins.journal.files import FILE
from discovery.store.values import Snapshot
from tests.examples import examples
from tests.plugins.journal.making import (
    LIMIT,
    a_database,
    an_instance,
    child,
    content,
    octets,
    put_index,
    puts,
    refusal,
)

COMMITS = 10
HEADER, FRAME_HEADER = 32, 24
# Commits of 1 to 5 instances, and an end without any care.
WRITE = """
import os, sys, pathlib
from tests.plugins.journal.making import a_database, puts, an_instance, put_index
file = pathlib.Path(sys.argv[1])
file.parent.mkdir(exist_ok=True)
database = a_database(file)
done = 0
for commit in range(int(sys.argv[2])):
    size = commit % 5 + 1
    database.commit([*puts(map(an_instance, range(done, done + size))), put_index(commit + 1)])
    done += size
os._exit(0)
"""


def is_torn_in_the_middle(log: Path) -> bool:
    try:
        wals.check(log)
    except wals.Torn:
        return True
    return False


def after(commits: int) -> list[Instance]:
    return [an_instance(number) for number in range(sum(commit % 5 + 1 for commit in range(commits)))]


class Left(NamedTuple):
    """A file, its log, and where in the log each commit ends."""

    main: bytes
    log: bytes
    ends: list[int]

    @property
    def frame(self) -> int:
        return FRAME_HEADER + page_size(self.log)

    def whole_commits(self, octets: int) -> int:
        """How many are in so many octets of the log."""
        return sum(end <= octets for end in self.ends)


def page_size(log: bytes) -> int:
    return int.from_bytes(log[8:12], "big")


def ends_of(log: bytes) -> list[int]:
    """Of the frames of the present round."""
    size = FRAME_HEADER + page_size(log)
    frames = [at for at in range(HEADER, len(log), size) if log[at + 8 : at + 16] == log[16:24]]
    return [at + size for at in frames if log[at + 4 : at + 8] != bytes(4)]


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Left:
    file = tmp_path_factory.mktemp("left") / FILE
    with child(WRITE, file, COMMITS) as process:
        assert process.wait(LIMIT) == 0
    log = file.with_name(f"{FILE}-wal").read_bytes()
    return Left(file.read_bytes(), log, ends_of(log))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / FILE


def put(file: Path, main: bytes, log: bytes) -> Path:
    """As they are after a crash: the index of the log is gone or of no use. Returns the log's path."""
    file.with_name(f"{FILE}-shm").unlink(missing_ok=True)
    file.write_bytes(main)
    wal = file.with_name(f"{FILE}-wal")
    wal.write_bytes(log)
    return wal


def by_sqlite(file: Path) -> int | None:
    """The number of the last commit that SQLite itself sees, without checks of ours."""
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as sql:
        row = sql.execute("SELECT value FROM meta").fetchone()
        return row[0] if row else 0


def cuts(left: Left, count: int) -> Iterator[int]:
    """At each frame's edges and middle, and at odd places."""
    for at in range(HEADER, len(left.log) + 1, left.frame):
        yield from (at - 1, at, at + 1, at + FRAME_HEADER, at + left.frame // 2)
    chosen = random.Random(3)
    yield from (0, 1, HEADER // 2)
    yield from (chosen.randrange(len(left.log)) for _ in range(count))


def test_a_whole_log_gives_back_every_commit(file: Path, left: Left) -> None:
    assert len(left.ends) == COMMITS
    assert left.ends[-1] == len(left.log)
    assert not is_torn_in_the_middle(put(file, left.main, left.log))
    found = content(file)
    assert ([*found.instances], found.index) == (after(COMMITS), COMMITS)


def test_a_log_that_is_cut_off_anywhere_gives_back_every_commit_before(file: Path, left: Left) -> None:
    counts: Counter[int] = Counter()
    for cut in {cut for cut in cuts(left, 30) if cut <= len(left.log)}:
        wal = put(file, left.main, left.log[:cut])
        commits = left.whole_commits(cut)
        assert not is_torn_in_the_middle(wal), cut
        found = content(file)
        assert ([*found.instances], found.index) == (after(commits), commits), cut
        counts[commits] += 1
    print(f"{counts.total()} cuts")
    assert set(counts) == set(range(COMMITS + 1))


def test_a_cut_off_log_is_followed_by_whatever_the_disk_had_there(file: Path, left: Left) -> None:
    """The file was made longer before its octets came: zeros."""
    for cut in random.Random(4).sample(range(HEADER, len(left.log)), 20):
        wal = put(file, left.main, left.log[:cut].ljust(len(left.log), b"\0"))
        assert not is_torn_in_the_middle(wal), cut
        assert [*content(file).instances] == after(left.whole_commits(cut)), cut


def test_a_bit_flipped_with_two_commits_behind_it_is_damage(file: Path, left: Left) -> None:
    bits = random.Random(6).sample(range(HEADER * 8, left.ends[-3] * 8), examples(60))
    heads = [(at + octet) * 8 for at in range(HEADER, left.ends[-3], left.frame) for octet in range(0, FRAME_HEADER, 5)]
    heads = random.Random(7).sample(heads, examples(len(heads)))
    for bit in bits + heads:
        log = bytearray(left.log)
        log[bit >> 3] ^= 1 << (bit & 7)
        wal = put(file, left.main, bytes(log))
        assert is_torn_in_the_middle(wal), f"octet {bit >> 3}"
        error = refusal(lambda: content(file))
        assert isinstance(error, Damaged), error
        assert str(file) in str(error)
        assert "discovery restore" in str(error)
        assert (file.read_bytes(), wal.read_bytes()) == (left.main, bytes(log))
    print(f"{len(bits + heads)} flips, each refused")


def test_a_bit_flipped_in_a_salt_of_the_last_commit_but_one_is_damage(file: Path, tmp_path: Path) -> None:
    """Also where each commit is a single frame, of one and the same page."""
    (tmp_path / "live").mkdir()
    with contextlib.closing(a_database(tmp_path / "live" / FILE)) as live:
        for version in range(4):
            live.commit(puts([an_instance(0, version)]))
        main, log = live.file.read_bytes(), live.file.with_name(f"{FILE}-wal").read_bytes()
    ends = ends_of(log)
    frame = FRAME_HEADER + page_size(log)
    assert ends[-1] - ends[-2] == frame
    for octet in range(8, 16):
        flipped = bytearray(log)
        flipped[ends[-2] - frame + octet] ^= 1
        assert is_torn_in_the_middle(put(file, main, bytes(flipped))), octet


def test_a_bit_flipped_anywhere_else_is_damage_or_gives_back_every_commit_before(file: Path, left: Left) -> None:
    chosen = random.Random(8)
    last = [chosen.randrange(left.ends[-3] * 8, len(left.log) * 8) for _ in range(60)]
    counts: Counter[str] = Counter()
    for bit in [*range(0, HEADER * 8, 3), *last]:
        log = bytearray(left.log)
        log[bit >> 3] ^= 1 << (bit & 7)
        put(file, left.main, bytes(log))
        try:
            found = content(file)
        except Damaged:
            counts["damaged"] += 1
            continue
        before = COMMITS if bit < HEADER * 8 else left.whole_commits(bit >> 3)
        commits = found.index
        assert before <= commits, f"octet {bit >> 3}"
        assert [*found.instances] == after(commits), f"octet {bit >> 3}"
        counts["loaded"] += 1
    print(dict(counts))


# -- logs that are used again


def reused(file: Path, commits: int, then: int) -> tuple[Left, Left]:
    """A log after a checkpoint and one commit, and the same after `then` more: there are frames of the round before behind."""
    file.parent.mkdir()
    log = file.with_name(f"{FILE}-wal")
    with contextlib.closing(a_database(file)) as opened:
        for number in range(commits):
            opened.commit([*puts([an_instance(number)]), put_index(number + 1)])
        with contextlib.closing(sqlite3.connect(file)) as sql:
            assert sql.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()[0] == 0
        opened.commit([*puts([an_instance(commits)]), put_index(commits + 1)])
        old = Left(file.read_bytes(), log.read_bytes(), ends_of(log.read_bytes()))
        for number in range(commits + 1, commits + 1 + then):
            opened.commit([*puts([an_instance(number)]), put_index(number + 1)])
        return old, Left(file.read_bytes(), log.read_bytes(), ends_of(log.read_bytes()))


def test_a_log_that_is_used_again_is_whole_with_old_frames_behind(tmp_path: Path, file: Path) -> None:
    old, new = reused(tmp_path / "live" / FILE, 9, 3)
    assert (len(old.ends), len(new.ends), len(old.log)) == (1, 4, len(new.log))
    for each, commits in ((old, 10), (new, 13)):
        wal = put(file, each.main, each.log)
        assert not is_torn_in_the_middle(wal)
        assert by_sqlite(file) == commits
        put(file, each.main, each.log)
        assert [*content(file).instances] == [an_instance(number) for number in range(commits)]


def test_a_bit_flipped_in_a_log_that_is_used_again_is_damage_with_two_commits_behind_it(
    tmp_path: Path, file: Path
) -> None:
    _, new = reused(tmp_path / "live" / FILE, 9, 3)
    for bit in random.Random(10).sample(range(HEADER * 8, new.ends[1] * 8), 60):
        log = bytearray(new.log)
        log[bit >> 3] ^= 1 << (bit & 7)
        assert is_torn_in_the_middle(put(file, new.main, bytes(log))), f"octet {bit >> 3}"


# -- big ones


def test_a_big_commit_of_many_frames_is_whole_or_not_there(tmp_path: Path, file: Path) -> None:
    live = tmp_path / "live" / FILE
    live.parent.mkdir()
    wal = live.with_name(f"{FILE}-wal")
    with contextlib.closing(a_database(live)) as opened:
        opened.commit(puts([an_instance(0)]))
        opened.commit(puts(map(an_instance, range(1, 1500))))
        log = wal.read_bytes()
        left = Left(live.read_bytes(), log, ends_of(log))
        assert len(left.ends) == 2
        assert (left.ends[1] - left.ends[0]) // left.frame > 40
    assert not is_torn_in_the_middle(put(file, left.main, left.log))
    assert len(content(file).instances) == 1500
    for cut in random.Random(11).sample(range(left.ends[0], left.ends[1]), 6):
        assert not is_torn_in_the_middle(put(file, left.main, left.log[:cut])), cut
        assert [*content(file).instances] == [an_instance(0)], cut


@pytest.mark.parametrize("log", [b"", b"\0", b"\0" * HEADER, b"nonsense" * 3])
def test_a_log_without_a_frame_is_whole(file: Path, log: bytes, left: Left) -> None:
    assert not is_torn_in_the_middle(put(file, left.main, log))
    assert content(file) == Snapshot(0)


def test_a_log_that_is_missing_is_whole(file: Path) -> None:
    assert not is_torn_in_the_middle(file)


def test_a_log_that_is_used_again_may_be_cut_off_before_the_old_frames(tmp_path: Path, file: Path) -> None:
    """What a process that was killed between two writes of SQLite (a frame's header, its page) leaves."""
    old, new = reused(tmp_path / "live" / FILE, 9, 3)
    assert old.main == new.main
    edges = [at + more for at in range(HEADER, new.ends[-1], new.frame) for more in (0, FRAME_HEADER, new.frame // 2)]
    for cut in [*edges, *random.Random(9).sample(range(HEADER, new.ends[-1]), 40)]:
        log = new.log[:cut] + old.log[cut:]
        commits = 9 + max(1, new.whole_commits(cut))
        wal = put(file, new.main, log)
        assert by_sqlite(file) == commits, cut
        put(file, new.main, log)
        assert not is_torn_in_the_middle(wal), cut
        assert [*content(file).instances] == [an_instance(number) for number in range(commits)], cut


# -- blocks that a disk has lost


BLOCK = 4096


def without(log: bytes, block: int, filling: bytes = bytes(BLOCK)) -> bytes:
    at = block * BLOCK
    return (log[:at] + filling + log[at + BLOCK :])[: len(log)]


def test_a_lost_block_with_an_acknowledged_commit_behind_it_is_damage(file: Path, tmp_path: Path) -> None:
    """Of 100 commits: all but the very last one are there, or it does not start. A block at the very end looks like a cut."""
    live = tmp_path / "live" / FILE
    with child(WRITE, live, 100) as process:
        assert process.wait(LIMIT) == 0
    log = live.with_name(f"{FILE}-wal").read_bytes()
    ends = ends_of(log)
    assert len(ends) == 100
    blocks = range(len(log) // BLOCK + 1)
    refused = 0
    chosen = [*random.Random(13).sample(blocks, examples(90)), *blocks[-10:]]
    for block in chosen:
        wal = put(file, live.read_bytes(), without(log, block))
        before = octets(file.parent)
        try:
            found = content(file).index
        except Damaged:
            refused += 1
            assert octets(file.parent) == before
        else:
            assert found >= 99, f"block {block}: {found} of 100 commits"
        finally:
            wal.unlink(missing_ok=True)
    print(f"{refused} of {len(chosen)} lost blocks refused")
    assert refused > len(chosen) * 0.75


def test_a_lost_block_of_the_log_of_a_file_in_use_is_damage_as_long_as_a_commit_is_behind_it(
    file: Path, tmp_path: Path
) -> None:
    """In its place is what the round before has left there."""
    old, new = reused(tmp_path / "live" / FILE, 40, 30)
    for block in range(1, new.ends[-3] // BLOCK):
        at = block * BLOCK
        log = without(new.log, block, old.log[at : at + BLOCK])
        if log != new.log:
            put(file, new.main, log)
            assert isinstance(refusal(lambda: content(file)), Damaged), f"block {block}"


def test_a_commit_of_which_the_power_cut_has_taken_any_blocks_is_not_there_and_no_damage(
    file: Path, tmp_path: Path
) -> None:
    """A disk writes what it was given before a sync in any order."""
    live = tmp_path / "live" / FILE
    live.parent.mkdir()
    with contextlib.closing(a_database(live)) as opened:
        opened.commit([*puts([an_instance(0)]), put_index(1)])
        before = live.with_name(f"{FILE}-wal").read_bytes()
        opened.commit([*puts(map(an_instance, range(1, 800))), put_index(2)])
        log = live.with_name(f"{FILE}-wal").read_bytes()
        main = live.read_bytes()
    chosen = random.Random(12)
    blocks = range(len(before) // BLOCK + 1, len(log) // BLOCK)
    assert len(blocks) > 20
    for count in (1, 1, 1, 2, 3, 5, len(blocks) // 2, len(blocks) - 1):
        torn = log
        for block in chosen.sample(blocks, count):
            torn = without(torn, block)
        put(file, main, torn)
        found = content(file)
        assert (found.index, len(found.instances)) == (1, 1)
