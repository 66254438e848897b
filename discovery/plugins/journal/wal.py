"""A database as SQLite would see it, with what its write-ahead log holds, read without SQLite: not an octet on disk is touched.

SQLite takes the log as ended at the first frame that is not whole. That is right for a log whose end a crash has cut off. When a frame
in the middle was damaged, it would lose all acknowledged commits behind it without a word; that is `Torn` here.

Format: https://www.sqlite.org/fileformat2.html, sections 4.1 and 4.2.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_HEADER, _FRAME = 32, 24
_MAGIC = (0x377F0682, 0x377F0683)  # the last bit: the checksum's words are big-endian
_FRAME_HEAD = struct.Struct(">IIIIII")  # page, pages after a commit or 0, two salts, two checksums

Pair = tuple[int, int]


class Torn(Exception):
    """The log is damaged in front of a commit that was acknowledged."""


class Frame(NamedTuple):
    """`size`: of the database in pages, when this is the last frame of a commit; else 0. `at`: where its page begins in the log."""

    page: int
    size: int
    salts: Pair
    sums: Pair
    at: int


class _Header(NamedTuple):
    big_endian: bool
    page_size: int
    salts: Pair
    sums: Pair


def image(file: Path) -> bytearray:
    """The database file with all committed pages of its log in their place. Torn; FileNotFoundError for the database."""
    octets = bytearray(file.read_bytes())
    log = _read(file.with_name(file.name + "-wal"))
    header = _header(log)
    if header is None:
        return octets
    page_size = header.page_size
    for commit in _commits(log, header):
        octets.extend(bytes(max(0, commit[-1].size * page_size - len(octets))))  # a registry's file never shrinks
        for frame in commit:
            start = (frame.page - 1) * page_size
            octets[start : start + page_size] = log[frame.at : frame.at + page_size]
    return octets


def check(log: Path) -> None:
    """Torn. A missing, an empty and a cut off log are whole. Reads it all: it has a few MB, 50 ms each."""
    octets = _read(log)
    if (header := _header(octets)) is not None:
        for _ in _commits(octets, header):
            pass


def _read(log: Path) -> bytes:
    return log.read_bytes() if log.exists() else b""


def _header(log: bytes) -> _Header | None:
    """None where there is no frame."""
    if len(log) <= _HEADER:
        return None
    magic, _, page_size, _, *salts, first, second = struct.unpack_from(">8I", log)
    big_endian = bool(magic & 1)
    if magic not in _MAGIC or not 512 <= page_size <= 65536 or _sums(log[:24], big_endian, (0, 0)) != (first, second):
        raise Torn
    return _Header(big_endian, page_size, (salts[0], salts[1]), (first, second))


def _commits(log: bytes, header: _Header) -> Iterator[list[Frame]]:
    """The frames of each commit, in order. Torn, at the end."""
    frames = list(_frames(log, header.page_size))
    sums, commit, done = header.sums, list[Frame](), 0
    for number, frame in enumerate(frames, 1):
        start = frame.at - _FRAME
        summed = _sums(log[start : start + 8] + log[frame.at : frame.at + header.page_size], header.big_endian, sums)
        if frame.salts != header.salts or frame.sums != summed:
            break
        sums = summed
        commit.append(frame)
        if frame.size:
            yield commit
            commit, done = [], number
    if _more_than_one_commit(frames[done:], header.salts):
        raise Torn


def _frames(log: bytes, page_size: int) -> Iterator[Frame]:
    for start in range(_HEADER, len(log) - _FRAME - page_size + 1, _FRAME + page_size):
        page, size, *rest = _FRAME_HEAD.unpack_from(log, start)
        yield Frame(page, size, (rest[0], rest[1]), (rest[2], rest[3]), start + _FRAME)


def _more_than_one_commit(frames: list[Frame], salts: Pair) -> bool:
    """Of what SQLite would leave out. One commit may be half written, in any order of its frames, when the power goes. Of two, the first
    was acknowledged before the second began.

    Frames with other salts are of an earlier round of the log, or damaged. A flipped bit leaves one of the two salts as it was.
    """
    ours = [frame for frame in frames if frame.salts[0] == salts[0] or frame.salts[1] == salts[1]]
    # SQLite writes a page once in a commit.
    return sum(frame.size > 0 for frame in ours) > 1 or len({frame.page for frame in ours}) < len(ours)


def _sums(octets: bytes, big_endian: bool, before: Pair) -> Pair:
    first, second = before
    words = array("I", octets)
    if big_endian != (struct.pack("=I", 1) == struct.pack(">I", 1)):
        words.byteswap()
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return first, second
