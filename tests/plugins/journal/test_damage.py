"""Single bits of the file are flipped, many of them: whatever comes of it is refused or harmless, never something else."""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import pytest

from discovery.plugins.journal.errors import Damaged, NewerFormat
from discovery.plugins.journal.files import FILE
from discovery.plugins.journal.inspection import inspect
from discovery.store.values import Snapshot
from tests.examples import examples
from tests.plugins.journal.making import (
    a_database,
    a_file,
    an_instance,
    content,
    octets,
    others,
    put_index,
    puts,
    refusal,
)

INSTANCES = 300
HEADER = 100


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return a_file(tmp_path_factory.mktemp("whole"), INSTANCES).read_bytes()


def used(file: Path) -> tuple[Snapshot, Snapshot]:
    """What is read, and what is read after all of it was written over."""
    with contextlib.closing(a_database(file)) as opened:
        found = inspect(opened.file)
        opened.commit(
            [
                *puts(found.instances),
                *others(),
                put_index(found.index),
                *puts([an_instance(999)]),
            ]
        )
        return found, inspect(opened.file)


def _note(found: list[tuple[Snapshot, Snapshot]], file: Path) -> None:
    found.append(used(file))


def flip(folder: Path, whole: bytes, bits: Iterable[int]) -> Counter[str]:
    """What each flip led to; fails at the first that led to anything else."""
    reference = content(a_file(folder / "reference", INSTANCES))
    later = content_after(reference)
    counts: Counter[str] = Counter()
    file = folder / FILE
    for bit in bits:
        flipped = bytearray(whole)
        flipped[bit >> 3] ^= 1 << (bit & 7)
        for each in folder.glob("registry.db*"):
            each.unlink()
        file.write_bytes(flipped)
        found: list[tuple[Snapshot, Snapshot]] = []
        error = refusal(partial(_note, found, file))
        where = f"octet {bit >> 3}, bit {bit & 7}"
        if error is None:
            assert found == [(reference, later)], f"{where}: other content"
            counts["harmless"] += 1
            continue
        newer = isinstance(error, NewerFormat) and 60 <= bit >> 3 < 64  # it is the format's number that was hit
        assert newer or isinstance(error, Damaged), f"{where}: {error!r}"
        assert str(file) in str(error), where
        assert "discovery restore" in str(error), where
        assert octets(folder) == {FILE: flipped}, f"{where}: the files have changed"
        counts["newer" if newer else "damaged"] += 1
    return counts


def content_after(before: Snapshot) -> Snapshot:
    return before._replace(instances=(*before.instances, an_instance(999)))


def test_a_flipped_bit_anywhere_is_damage_or_makes_no_difference(tmp_path: Path, whole: bytes) -> None:
    chosen = random.Random(5).sample(range(len(whole) * 8), examples(500))
    counts = flip(tmp_path, whole, chosen)
    print(f"{len(chosen)} flips in {len(whole)} octets: {dict(counts)}")
    assert counts["damaged"] > len(chosen) / 4


def test_a_flipped_bit_of_the_header_is_damage_or_makes_no_difference(tmp_path: Path, whole: bytes) -> None:
    chosen = random.Random(6).sample(range(HEADER * 8), examples(HEADER * 8))
    counts = flip(tmp_path, whole, chosen)
    print(f"{len(chosen)} flips in the header: {dict(counts)}")
    assert counts["damaged"] > len(chosen) / 4
    assert counts["newer"] > len(chosen) / 50


def test_a_flipped_bit_of_the_schema_is_damage_or_makes_no_difference(tmp_path: Path, whole: bytes) -> None:
    start = whole.index(b"CREATE TABLE tombstone") - 60
    end = whole.index(b"checksum INTEGER)", whole.index(b"CREATE TABLE instance")) + 20
    chosen = random.Random(7).sample(range(start * 8, end * 8), examples(400))
    counts = flip(tmp_path, whole, chosen)
    print(f"{len(chosen)} flips in the schema: {dict(counts)}")
    assert counts["damaged"] > len(chosen) * 3 / 4


def test_a_flipped_bit_of_the_index_is_damage(tmp_path: Path, whole: bytes) -> None:
    """Octets 3 to 11 of its row: the key, then the number."""
    at = whole.rindex(b"index" + (4711).to_bytes(2, "big"))
    counts = flip(tmp_path, whole, range(at * 8, (at + 7) * 8))
    assert counts == {"damaged": 7 * 8}
