"""The zones that are served: fixed hosts, services that cannot be found, and reading again whatever the file system does."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import pytest
import watchfiles

from discovery.core.instance import Registration
from discovery.dns.message.names import from_text
from discovery.dns.zones import zonefile
from discovery.dns.zones.catalog import Catalog
from discovery.dns.zones.reverse import ReverseNames
from discovery.dns.zones.static_zone import StaticZone
from discovery.store.registry import Registry
from discovery.system import files as system_files
from discovery.system.files import MAX_READERS
from discovery.zones import Zones
from tests.dns.world import HEAD
from tests.store.making import START, WALL, a_registry
from tests.waiting import until


def a_folder(folder: Path, files: Mapping[str, str]) -> Path:
    """A zone file for each origin, with these lines after HEAD."""
    folder.mkdir(exist_ok=True)
    for origin, lines in files.items():
        (folder / f"{origin}.zone").write_text(HEAD + lines)
    return folder


def zones_of(folder: Path, registry: Registry, *origins: str) -> Zones:
    names = [from_text(origin) for origin in origins]
    reverse = ReverseNames(registry, names[0], 5, 2)
    return Zones(registry, Catalog(()), reverse, folder, names, 5, 2, {}, ["127.0.0.1"])


# -- hosts that only zone files decide about

FILES = {
    "svc.local": "www A 192.0.2.1\nsix AAAA 2001:db8::1\n*.wild A 192.0.2.2\ntext TXT x\n",
    "example.com": "a CNAME www.svc.local.\nlive CNAME evil.svc.local.\nout CNAME www.example.net.\nloop CNAME loop\nb CNAME a\n",
}


@pytest.mark.parametrize(
    ("host", "is_fixed"),
    {
        "www.svc.local": True,
        "WWW.Svc.Local.": True,
        "six.svc.local": True,
        "ns.svc.local": True,
        "ns.made-up.example": True,
        "b.example.com": True,
        "out.example.com": True,
        "text.svc.local": False,
        "x.wild.svc.local": False,
        "evil.svc.local": False,
        "live.example.com": False,
        "loop.example.com": False,
        "svc.local": False,
        "www.example.net": False,
        "": False,
        "a..b": False,
        "münchen.svc.local": False,
    }.items(),
)
def test_a_host_is_fixed_when_files_alone_decide_where_it_points(tmp_path: Path, host: str, is_fixed: bool) -> None:
    registry = a_registry()
    zones = zones_of(a_folder(tmp_path, FILES), registry, "svc.local", "made-up.example")
    zones.load()
    registry.register(Registration.of("evil", "10.0.0.1", 80), START, WALL)
    assert zones.is_fixed_host(host) is is_fixed


# -- names that cannot be found


async def test_a_service_that_had_its_name_before_it_was_reserved_stays_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registry = a_registry()
    registry.register(Registration.of("Child", "10.0.0.1", 80), START, WALL)
    registry.register(Registration.of("web", "10.0.0.1", 81), START, WALL)
    zones = zones_of(a_folder(tmp_path, {"child.svc.local": ""}), registry, "svc.local")
    with caplog.at_level(logging.WARNING):
        zones.load()
        zones.warn()
    assert registry.service("child")
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert all(line.startswith("service child: its name is the label of the zone child.svc.local") for line in said)


# -- reading again


class Reading:
    """In place of `zonefile.load_all`: each reading waits until the test lets it go, and gives a zone with its number as origin."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.gates: list[threading.Event] = []
        monkeypatch.setattr(zonefile, "load_all", self._load_all)

    def _load_all(self, folder: Path) -> list[StaticZone]:
        number = len(self.gates)
        self.gates.append(gate := threading.Event())
        gate.wait()
        return [zonefile.made_up((f"zone-{number}".encode(),), [], 2)]

    def let_all_go(self) -> None:
        for gate in self.gates:
            gate.set()


@pytest.fixture(name="reading")
def _reading(monkeypatch: pytest.MonkeyPatch) -> Iterator[Reading]:
    monkeypatch.setattr(system_files, "SLOW_SECONDS", 0.01)
    reading = Reading(monkeypatch)
    yield reading
    reading.let_all_go()


def origins(zones: Zones) -> set[bytes]:
    return {zone.origin[0] for zone in zones._catalog.zones}


async def test_a_reading_that_hangs_does_not_hold_up_a_later_one_nor_undo_it(
    tmp_path: Path, reading: Reading, caplog: pytest.LogCaptureFixture
) -> None:
    zones = zones_of(tmp_path, a_registry(), "svc.local")
    await zones.files.reload()
    assert "still being read" in caplog.text
    assert origins(zones) == set()
    await zones.files.reload()
    reading.gates[1].set()
    await until(lambda: origins(zones) == {b"svc", b"zone-1"})
    reading.gates[0].set()
    await until(lambda: not zones.files._tasks)
    assert origins(zones) == {b"svc", b"zone-1"}
    await zones.files.close()


async def test_so_many_readings_hang_and_no_more_and_the_log_says_so(
    tmp_path: Path, reading: Reading, caplog: pytest.LogCaptureFixture
) -> None:
    zones = zones_of(tmp_path, a_registry(), "svc.local")
    for _ in range(MAX_READERS + 2):
        await zones.files.reload()
    assert len(reading.gates) == MAX_READERS
    assert "does a mount hang?" in caplog.text
    reading.let_all_go()
    await until(lambda: not any(thread.is_alive() for thread in zones.files.readers))
    last = asyncio.create_task(zones.files.reload())
    await until(lambda: len(reading.gates) == MAX_READERS + 1)
    reading.let_all_go()
    await last
    await until(lambda: b"zone-3" in origins(zones))
    await zones.files.close()


async def test_closing_does_not_wait_for_a_reading_that_hangs(tmp_path: Path, reading: Reading) -> None:
    zones = zones_of(tmp_path, a_registry(), "svc.local")
    await zones.files.reload()
    async with asyncio.timeout(60):
        await zones.files.close()
    assert all(thread.daemon for thread in zones.files.readers)


async def test_a_fifo_among_the_files_is_named_and_the_next_reload_goes_well(tmp_path: Path) -> None:
    zones = zones_of(a_folder(tmp_path, {"svc.local": ""}), a_registry(), "svc.local")
    fifo = tmp_path / "pipe.zone"
    os.mkfifo(fifo)
    with pytest.raises(zonefile.ZoneFileError, match="regular file"):
        zones.load()
    await zones.files.reload()
    assert str(fifo) in str(zones.files.failure)
    fifo.unlink()
    await zones.files.reload()
    assert origins(zones) == {b"svc"}
    await zones.files.close()


async def test_a_mistake_that_nobody_thought_of_is_logged_and_the_next_reload_goes_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    zones = zones_of(a_folder(tmp_path, {"svc.local": ""}), a_registry(), "svc.local")
    with monkeypatch.context() as patched:
        patched.setattr(zonefile, "load_all", lambda folder: [][0])
        await zones.files.reload()
    assert "IndexError" in caplog.text
    await zones.files.reload()
    assert origins(zones) == {b"svc"}
    await zones.files.close()


async def test_the_watch_survives_a_mistake_that_nobody_thought_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    zones = zones_of(a_folder(tmp_path, {"svc.local": ""}), a_registry(), "svc.local")
    begun = 0

    async def awatch(*folders: Path, **options: bool) -> AsyncIterator[None]:
        nonlocal begun
        begun += 1
        if begun == 1:
            raise ArithmeticError("of the watcher")
        yield
        await asyncio.Event().wait()

    monkeypatch.setattr(watchfiles, "awatch", awatch)
    monkeypatch.setattr(system_files, "_FOLDER_SECONDS", 0.001)
    zones.files.start()
    a_folder(tmp_path, {"other.example": ""})
    await until(lambda: origins(zones) == {b"svc", b"other"})
    assert "ArithmeticError: of the watcher" in caplog.text
    await zones.files.close()
