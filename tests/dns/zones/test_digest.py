"""A zone's digest: the same for the same records, however the file is written; another one for anything that is another answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from discovery.dns.zones.zonefile import load

HEAD = "$ORIGIN example.test.\n$TTL 60\n@ SOA ns h 7 1 1 1 1\n@ NS ns\nns A 10.0.0.1\n"
RECORDS = ["www A 10.0.0.2", "www A 10.0.0.3", "alias CNAME www", 'text TXT "a"']


def digest(folder: Path, *lines: str, head: str = HEAD) -> str:
    file = folder / "example.test.zone"
    file.write_text(head + "\n".join(lines) + "\n")
    return load(file).digest


def test_order_case_and_comments_are_no_difference(tmp_path: Path) -> None:
    plain = digest(tmp_path, *RECORDS)
    assert plain.startswith("7 ")
    assert digest(tmp_path, "; the same", *reversed(RECORDS)) == plain
    assert digest(tmp_path, *(line.replace("www A", "WWW.example.test. 60 IN A") for line in RECORDS)) == plain


@pytest.mark.parametrize(
    "lines",
    [RECORDS[:-1], [*RECORDS[:-1], 'text TXT "b"'], [*RECORDS[:-1], 'text 61 TXT "a"'], [*RECORDS, "more A 10.0.0.2"]],
)
def test_another_record_is_another_digest(tmp_path: Path, lines: list[str]) -> None:
    assert digest(tmp_path, *lines).partition(" ")[2] != digest(tmp_path, *RECORDS).partition(" ")[2]


def test_another_serial_shows_as_one(tmp_path: Path) -> None:
    assert digest(tmp_path, *RECORDS, head=HEAD.replace(" 7 ", " 8 ")).startswith("8 ")
