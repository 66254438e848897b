"""Whether SQLite's write-ahead log is whole. SQLite stops at the first frame that is not, which is right for a log whose end a crash has
cut off, and loses commits without a word when a frame in the middle was damaged: then there are whole commits behind it.

Format: https://www.sqlite.org/fileformat2.html, sections 4.1 and 4.2.
"""

from __future__ import annotations

import struct
from array import array
from pathlib import Path

_HEADER, _FRAME = 32, 24
_MAGIC = (0x377F0682, 0x377F0683)  # the last bit: the checksum's words are big-endian
_FRAME_HEAD = struct.Struct(">IIIIII")  # page, pages after a commit or 0, two salts, two checksums


def is_torn_in_the_middle(file: Path) -> bool:
    """A missing, an empty and a cut off log are whole. Reads it all: it has a few MB, 50 ms each."""
    try:
        log = file.read_bytes()
    except FileNotFoundError:
        return False
    if len(log) < _HEADER:
        return False
    magic, _, page_size, _, *salts = struct.unpack_from(">IIIIII", log)
    if magic not in _MAGIC or not 512 <= page_size <= 65536:
        return len(log) > _HEADER
    sums = _checksum(log[:24], magic & 1, (0, 0))
    if sums != struct.unpack_from(">II", log, 24):
        return len(log) > _HEADER
    commits_behind, broken = 0, False  # from the broken frame on
    for at in range(_HEADER, len(log) - _FRAME - page_size + 1, _FRAME + page_size):
        _, commit, *rest = _FRAME_HEAD.unpack_from(log, at)
        if rest[:2] != salts and not _salt_nearly(rest[:2], salts):
            break  # frames of an earlier round of the log: the end, be the frame before whole or half written
        if not broken:
            summed = _checksum(log[at : at + 8] + log[at + _FRAME : at + _FRAME + page_size], magic & 1, sums)
            if rest[:2] == salts and summed == tuple(rest[2:]):
                sums = summed
                continue
            broken = True
        commits_behind += 1 if commit else 0
    # One commit may be half written when the power goes; of two, the first was acknowledged before the second began.
    return commits_behind >= 2


def _salt_nearly(found: list[int], salts: list[int]) -> bool:
    """A bit of a salt was flipped: half of it is right."""
    return found[0] == salts[0] or found[1] == salts[1]


def _checksum(octets: bytes, big_endian: int, before: tuple[int, ...]) -> tuple[int, int]:
    first, second = before
    words = array("I", octets)
    if bool(big_endian) != (struct.pack("=I", 1) == struct.pack(">I", 1)):
        words.byteswap()
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return first, second
