"""The zones that are served: which hosts are fixed in them, and which services cannot be found in them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import pytest

from discovery.core.instance import Registration
from discovery.dns.message.names import from_text
from discovery.dns.zones.catalog import Catalog
from discovery.dns.zones.reverse import ReverseNames
from discovery.store.registry import Registry
from discovery.zones import Zones
from tests.dns.world import HEAD
from tests.store.making import START, WALL, a_registry


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
        zones.watch()
        await zones.close()
    assert registry.service("child")
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert all(line.startswith("service child: its name is the label of the zone child.svc.local") for line in said)
