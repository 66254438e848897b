"""Zone files while the server runs: read again without a signal, `$INCLUDE` kept inside, bad files reported, the serial moving."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stories.dig import dig
from tests.stories.liveness.starting import refused
from tests.stories.process import Discovery, running, until
from tests.stories.standards.conftest import ZONE


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served") / "zones"
    folder.mkdir()
    (folder / "svc.local.zone").write_text(ZONE + "printer IN A 192.0.2.7\n")
    (folder.parent / "outside.inc").write_text("secret IN A 192.0.2.66\n")
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Discovery]:
    with running(ZONES_DIR=str(folder), HEARTBEAT_TIMEOUT_SECONDS=3600) as discovery:
        discovery.register("shop", "10.0.0.1")
        yield discovery
        assert "Traceback" not in "\n".join(discovery.log)


def serial(server: Discovery) -> int:
    return int(dig(server, "svc.local", "SOA").answer[0].rdata.split()[2])


def addresses(server: Discovery, name: str) -> set[str]:
    return dig(server, f"{name}.svc.local").rdata


def good_again(server: Discovery, folder: Path, record: str) -> None:
    """Writes a good zone file and waits until it is served, and warned of no more; `record` is its own for each test."""
    (folder / "svc.local.zone").write_text(f"{ZONE}printer IN A 192.0.2.7\n{record} IN A 192.0.2.8\n")
    until(lambda: addresses(server, record) == {"192.0.2.8"})
    until(lambda: all(each["code"] != "zones_failed" for each in server.request("GET", "/ready").body["warnings"]))


def test_a_changed_file_is_served_without_a_signal_and_moves_the_serial(server: Discovery, folder: Path) -> None:
    before = serial(server)
    good_again(server, folder, "changed")
    assert serial(server) > before
    assert addresses(server, "printer") == {"192.0.2.7"}
    assert addresses(server, "shop") == {"10.0.0.1"}


def test_a_file_that_an_editor_renames_into_place_is_served(server: Discovery, folder: Path) -> None:
    aside = folder / "svc.local.zone.swp"
    aside.write_text(f"{ZONE}renamed IN A 192.0.2.9\n")
    os.replace(aside, folder / "svc.local.zone")
    until(lambda: addresses(server, "renamed") == {"192.0.2.9"})


def test_a_new_file_is_a_new_zone_and_a_removed_one_is_none(server: Discovery, folder: Path) -> None:
    path = folder / "new.example.zone"
    assert dig(server, "www.new.example").status == "REFUSED"
    path.write_text(ZONE + "www IN A 192.0.2.3\n")
    until(lambda: dig(server, "www.new.example").rdata == {"192.0.2.3"})
    path.unlink()
    until(lambda: dig(server, "www.new.example").status == "REFUSED")


def test_the_serial_moves_with_every_registration_and_goes_only_up(server: Discovery, folder: Path) -> None:
    seen = [serial(server)]
    for number in range(3):
        server.register("moving", "10.0.1.1", 1000 + number)
        seen.append(serial(server))
    good_again(server, folder, "moved")
    seen.append(serial(server))
    assert server.request("DELETE", "/services/moving").status == 200
    seen.append(serial(server))
    assert seen == sorted(set(seen))
    server.heartbeat("shop", "10.0.0.1")
    assert serial(server) == seen[-1], "a heartbeat is no visible change"


BAD: dict[str, tuple[str, int]] = {
    "an address that is none": ("scanner IN A 192.0.2.800\n", 5),
    "a type that is none": ("scanner IN A 192.0.2.8\nplotter IN NONSENSE 1\n", 6),
    "a parenthesis that stays open": ('scanner IN TXT ( "x"\nplotter IN A 192.0.2.8\n', 6),
    "a name outside the zone": ("www.example.com. IN A 192.0.2.8\nscanner IN CNAME\n", 6),
    "a directive that is none": ("$NONSENSE x\n", 5),
    "a CNAME beside other records": ("scanner IN A 192.0.2.8\nscanner IN CNAME ns\n", 6),
    "an included file that is not there": ("$INCLUDE missing.inc\n", 5),
    "an included file from outside": ("$INCLUDE ../outside.inc\n", 5),
    "an included file by its full path": ("$INCLUDE /etc/hostname\n", 5),
    "an included file from outside, in quotes": ('$include "../outside.inc"\n', 5),
    "an included file from outside, the directive in quotes": ('"$INCLUDE" OUTSIDE\n', 5),
    "an included file from outside, in parentheses": ("( $INCLUDE OUTSIDE )\n", 5),
    "an included file from outside, by a link": ("$INCLUDE link.inc\n", 5),
}


@pytest.mark.parametrize("row", BAD)
def test_a_bad_file_is_reported_with_its_line_and_the_old_zone_stays(server: Discovery, folder: Path, row: str) -> None:
    text, number = BAD[row]
    before = f"before-{list(BAD).index(row)}"  # another one each time, else the zone of the test before would do
    good_again(server, folder, before)
    link = folder / "link.inc"
    if not link.is_symlink():
        link.symlink_to("../outside.inc")
    known = len(server.log)
    (folder / "svc.local.zone").write_text(ZONE + text.replace("OUTSIDE", str(folder.parent / "outside.inc")))
    said = until(
        lambda: (
            [line for line in server.log[known:] if "svc.local.zone" in line and ": over after " not in line]
            or addresses(server, "secret")
        ),
    )
    assert not addresses(server, "secret"), "what lies outside ZONES_DIR is never served"
    assert isinstance(said, list)
    assert re.search(rf"\b{number}\b", said[0].partition("svc.local.zone")[2]), said
    assert addresses(server, "printer") == {"192.0.2.7"}
    assert addresses(server, before) == {"192.0.2.8"}
    assert addresses(server, "scanner") == set()


def test_a_file_of_the_same_folder_is_included_and_its_change_seen(server: Discovery, folder: Path) -> None:
    included = folder / "hosts.inc"
    included.write_text("scanner IN A 192.0.2.10\n")
    (folder / "svc.local.zone").write_text(
        ZONE + "$INCLUDE hosts.inc\n$INCLUDE hosts.inc office\nprinter IN A 192.0.2.7\n"
    )
    until(lambda: addresses(server, "scanner") == {"192.0.2.10"})
    assert addresses(server, "scanner.office") == {"192.0.2.10"}, "RFC 1035 §5.1: below another origin"
    assert addresses(server, "printer") == {"192.0.2.7"}, "whose end ends with the file"
    included.write_text("scanner IN A 192.0.2.11\n")
    until(lambda: addresses(server, "scanner") == {"192.0.2.11"})

    known = len(server.log)
    included.write_text("scanner IN A 192.0.2.11\nscanner IN A nonsense\n")
    said = until(lambda: server.log[known:])
    assert any("hosts.inc" in line and re.search(r"\b2\b", line.partition("hosts.inc")[2]) for line in said), said
    assert addresses(server, "scanner") == {"192.0.2.11"}


def test_a_bad_file_at_start_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "svc.local.zone").write_text(ZONE + "scanner IN A 192.0.2.800\n")
    said = refused(ZONES_DIR=str(tmp_path))
    assert re.search(r"svc\.local\.zone.*\b5\b", said), said
