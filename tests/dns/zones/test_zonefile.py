"""Zone files: every record type goes from the file to the wire unharmed, and a bad file is refused by name and line."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import dns.rdata
import pytest

from discovery.dns.zones.zonefile import ZoneFileError, load, load_all
from tests.dns.world import HEAD, World, data, outcome

RECORDS = {
    "A": "192.0.2.1",
    "AAAA": "2001:db8::1",
    "AFSDB": "1 afs.example.com.",
    "CAA": '0 issue "ca.example.net"',
    "CERT": "1 0 0 AQID",
    "DNSKEY": "257 3 13 AQIDBA==",
    "DS": "1 13 2 " + "ab" * 32,
    "HINFO": '"x86" "Linux"',
    "HTTPS": '1 . alpn="h2" port="8443"',
    "LOC": "52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m",
    "MX": "10 mail.example.com.",
    "NAPTR": '100 10 "S" "SIP+D2U" "" _sip._udp.example.com.',
    "PTR": "Host.Example.COM.",
    "RP": "admin.example.com. text.example.com.",
    "SPF": '"v=spf1 -all"',
    "SRV": "1 2 3 target.example.com.",
    "SSHFP": "1 1 " + "cd" * 20,
    "SVCB": "0 other.example.com.",
    "TLSA": "3 1 1 " + "ef" * 32,
    "TXT": '"a b" "" "\\"quoted\\" \\195\\188" "' + "x" * 255 + '"',
    "URI": '10 1 "https://example.com/"',
    "TYPE65280": "\\# 3 abcdef",
}


@pytest.mark.parametrize(("rtype", "text"), RECORDS.items(), ids=RECORDS)
def test_a_record_of_the_file_arrives_as_it_was_written(rtype: str, text: str) -> None:
    reply = World(f"host {rtype} {text}\n").ask("host.svc.local", rtype, udp=False)
    assert outcome(reply) == "ANSWER"
    assert list(reply.answer[0]) == [dns.rdata.from_text("IN", rtype, text)]
    assert reply.answer[0].ttl == 60


def test_signatures_over_several_types_of_one_name_are_all_kept() -> None:
    def signature(covers: str) -> str:
        return f"{covers} 13 3 60 20300101000000 20200101000000 1 svc.local. AQID"

    world = World(f"host RRSIG {signature('A')}\nhost RRSIG {signature('AAAA')}\nhost A 192.0.2.1\n")
    assert {text.split()[0] for text in data(world.ask("host.svc.local", "RRSIG").answer)} == {"A", "AAAA"}


def test_ttls_origins_and_relative_names_are_understood() -> None:
    world = World(
        "a 7 A 192.0.2.1\n$TTL 1h\nb A 192.0.2.2\n$ORIGIN deep.svc.local.\nc A 192.0.2.3\n@ TXT x\nD A 192.0.2.4\n"
    )
    assert world.ask("a.svc.local").answer[0].ttl == 7
    assert world.ask("b.svc.local").answer[0].ttl == 3600
    assert data(world.ask("c.deep.svc.local").answer) == ["192.0.2.3"]
    assert data(world.ask("deep.svc.local", "TXT").answer) == ['"x"']
    assert data(world.ask("d.deep.svc.local").answer) == ["192.0.2.4"]


# The text after HEAD, whose lines are 1 to 4; the line at fault.
BAD = {
    "no-address": ("host A not-an-address\n", 5),
    "v6-in-A": ("host A 192.0.2.1\nhost2 A 2001:db8::1\n", 6),
    "out-of-range": ("host A 192.0.2.256\n", 5),
    "unknown-type": ("; fine\nhost FOO bar\n", 6),
    "too-little": ("host A 192.0.2.1\n\nmail MX 10\n", 7),
    "too-much": ("host A 192.0.2.1 192.0.2.2\n", 5),
    "port-out-of-range": ("_x._tcp SRV 0 0 65536 host\n", 5),
    "bad-ttl": ("host 12x A 192.0.2.1\n", 5),
    "label-of-64": (f"{'a' * 64} A 192.0.2.1\n", 5),
    "name-of-256": (".".join(["a" * 60] * 5) + " A 192.0.2.1\n", 5),
    "empty-label": ("a..b A 192.0.2.1\n", 5),
    "open-quote": ('host TXT "never closed\n', 5),
    "unknown-directive": ("$NONSENSE x\n", 5),
    "include-of-nothing": ("$INCLUDE nowhere.inc\n", 5),
    "include-outside": ("$INCLUDE /etc/passwd\n", 5),
    "include-above": ("$INCLUDE ../x.inc\n", 5),
    "alias-and-other-data": ("host A 192.0.2.1\nhost CNAME ns\n", 6),
    "other-data-and-alias": ("host CNAME ns\nhost A 192.0.2.1\n", 6),
    "RFC1035-5.2-two-SOAs": ("@ SOA ns other 8 60 10 604800 2\n", 5),
    "RFC1035-5.2-an-SOA-below-the-top": ("sub SOA ns hostmaster 7 60 10 604800 2\n", 5),
    "RFC6672-2.4-two-DNAMEs-of-one-name": ("old DNAME a.example.\nold DNAME b.example.\n", 6),
    "RFC4592-4.2-NS-at-a-wildcard": ("*.sub NS ns\n", 5),
    "RFC4035-2.4-DS-at-the-top": (f"@ DS 1 13 2 {'ab' * 32}\n", 5),
    "RFC6895-3.1-OPT": ("host A 192.0.2.1\nhost OPT \\# 0\n", 6),
    "RFC6895-3.1-AXFR": ("host AXFR \\# 0\n", 5),
    "RFC6895-3.1-ANY": ("host ANY \\# 0\n", 5),
    "RFC6895-3.1-TYPE255": ("host TYPE255 \\# 0\n", 5),
    "RFC6895-3.1-TYPE0": ("host TYPE0 \\# 0\n", 5),
    "RFC6895-3.1-TYPE200": ("host TYPE200 \\# 0\n", 5),
    "RFC2181-10.1-two-aliases-of-one-name": ("host CNAME ns\nhost CNAME ns2\n", 6),
}


@pytest.mark.parametrize(("text", "line"), BAD.values(), ids=BAD)
def test_a_bad_line_is_refused_by_file_and_line(tmp_path: Path, text: str, line: int) -> None:
    path = tmp_path / "svc.local.zone"
    path.write_text(HEAD + text)
    with pytest.raises(ZoneFileError) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert re.search(rf"line {line}\b", str(caught.value))
    written = (HEAD + text).splitlines()[line - 1][:60]
    assert written in str(caught.value).replace("\\\\", "\\")


def test_what_cannot_be_read_is_said_in_words(tmp_path: Path) -> None:
    path = tmp_path / "example.zone"
    path.write_text("$TTL 60\n@ IN SOA ns host 0 20 5 60 2\n@ IN NS ns\nns IN A 10.0.0.300\n")
    with pytest.raises(ZoneFileError, match=r"line 4: is no record that can be read, in .ns IN A 10\.0\.0\.300.$"):
        load(path)


def test_the_same_record_twice_is_one() -> None:
    world = World("@ SOA ns hostmaster 7 60 10 604800 2\nold DNAME a.example.\nold DNAME a.example.\n")
    assert data(world.ask("old.svc.local", "DNAME").answer) == ["a.example."]


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["fifo", "folder"])
def test_what_is_no_regular_file_is_refused_by_name_and_not_waited_for(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    path = tmp_path / "svc.local.zone"
    make(path)
    with pytest.raises(ZoneFileError, match=re.escape(f"{path}: is not a regular file")):
        load_all(tmp_path)


def test_a_link_to_a_regular_file_is_read(tmp_path: Path) -> None:
    """As Kubernetes mounts them."""
    (tmp_path / "text").write_text(HEAD)
    (tmp_path / "svc.local.zone").symlink_to(tmp_path / "text")
    assert [zone.origin for zone in load_all(tmp_path)] == [(b"svc", b"local")]


WHOLLY_BAD = {
    "empty": b"",
    "no-soa": b"$TTL 60\n@ NS ns\nns A 192.0.2.1\n",
    "no-ns": b"$TTL 60\n@ SOA ns hostmaster 1 2 3 4 5\n",
    "soa-of-another-zone": b"$TTL 60\n$ORIGIN example.com.\n@ SOA ns hostmaster 1 2 3 4 5\n@ NS ns\n",
    "binary": bytes(range(256)),
    "not-utf-8": HEAD.encode() + b'host TXT "\xff\xfe"\n',
    "open-parenthesis": b"$TTL 60\n@ SOA ns hostmaster ( 1 2 3 4 5\n@ NS ns\n",
}


@pytest.mark.parametrize("text", WHOLLY_BAD.values(), ids=WHOLLY_BAD)
def test_what_is_no_zone_is_refused_by_file(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "svc.local.zone"
    path.write_bytes(text)
    with pytest.raises(ZoneFileError, match=re.escape(str(path))):
        load(path)


@pytest.mark.parametrize("name", [f"{'a' * 64}.zone", "a..b.zone"])
def test_a_file_whose_name_is_no_domain_name_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(HEAD)
    with pytest.raises(ZoneFileError, match=re.escape(str(path))):
        load(path)


def test_a_file_that_cannot_be_read_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "folder.zone").mkdir()
    for path in (tmp_path / "missing.zone", tmp_path / "folder.zone"):
        with pytest.raises(ZoneFileError, match=re.escape(str(path))):
            load(path)


def test_all_zone_files_of_a_folder_are_loaded_and_nothing_else(tmp_path: Path) -> None:
    for name in ("b.zone", "a.example.zone", "notes.txt", "zone", "c.zone.bak"):
        (tmp_path / name).write_text(HEAD)
    assert {zone.origin for zone in load_all(tmp_path)} == {(b"a", b"example"), (b"b",)}


def test_no_folder_is_no_zones(tmp_path: Path) -> None:
    assert load_all(tmp_path / "nowhere") == []


def test_one_bad_file_among_good_ones_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.zone").write_text(HEAD)
    (tmp_path / "b.zone").write_text("nonsense")
    with pytest.raises(ZoneFileError, match=r"b\.zone"):
        load_all(tmp_path)


def test_the_zone_file_that_comes_with_the_server_is_good() -> None:
    (zone,) = load_all(Path(__file__).parents[3] / "zones")
    assert zone.origin == (b"svc", b"local")
    assert {b"ns", b"registry"} <= zone.labels
    assert int.from_bytes(zone.soa.rdata[-8:-4], "big") == 60, "a secondary's EXPIRE, as leases end after seconds"


MISTAKES = {
    "several lines": ("a A 1.2.3\nb A 192.0.2.1\nc FOO x\nd MX 10\n", [5, 7, 8]),
    "what follows from a mistake is not told": (
        "a..b A 192.0.2.1\n  TXT x\n  A 192.0.2.300\nc A 192.0.2.300\n",
        [5, 8],
    ),
    "nothing behind open brackets": ("a TXT ( x\nb A 1.2.3\n", [6]),
    "an alias that is in the way": ("a A 192.0.2.1\na CNAME ns\nb A 1\n", [6, 7]),
}


@pytest.mark.parametrize(("text", "lines"), MISTAKES.values(), ids=MISTAKES)
def test_all_mistakes_of_a_file_are_told_at_once(tmp_path: Path, text: str, lines: list[int]) -> None:
    (tmp_path / "svc.local.zone").write_text(HEAD + text)
    with pytest.raises(ZoneFileError) as caught:
        load(tmp_path / "svc.local.zone")
    assert [int(line) for line in re.findall(r": line (\d+): ", str(caught.value))] == lines


def test_the_mistakes_of_all_files_are_told_at_once_and_of_one_no_more_than_people_read(tmp_path: Path) -> None:
    (tmp_path / "a.example.zone").write_text(HEAD + "host A x\n")
    (tmp_path / "b.example.zone").write_text(HEAD + "host A x\n" * 1000)
    with pytest.raises(ZoneFileError) as caught:
        load_all(tmp_path)
    told = str(caught.value).splitlines()
    assert [sum(f"{name}.example.zone" in line for line in told) for name in "ab"] == [1, 20]
