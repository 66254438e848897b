"""Names that no service may take, because nobody could find it under them in every zone that is configured."""

from __future__ import annotations

import pytest

from discovery.dns.message.names import from_text, to_text
from discovery.dns.zones.reserved import reserved, why_no_host
from discovery.dns.zones.static_zone import StaticZone
from tests.dns.world import World, load, outcome


def _why(live: dict[str, str], *others: str) -> dict[str, str]:
    """Of zones with services, by origin with the lines of their files; `others` are origins of zones without services."""
    zones = load(live)
    return reserved(zones, [*(zone.origin for zone in zones), *map(from_text, others)])


def test_a_name_with_fixed_records_is_reserved_and_one_below_it_is_not() -> None:
    why = _why({"svc.local": "printer A 192.0.2.7\na.deep A 192.0.2.8\n"})
    assert why["printer"] == why["ns"] == "has fixed records: a zone file's, or those of the zone's name server"
    assert not {"a", "deep"} & why.keys()


def test_the_label_of_a_zone_right_below_is_reserved_and_that_of_one_further_down_is_not() -> None:
    why = _why({"svc.local": ""}, "child.svc.local", "a.deep.svc.local", "example.com")
    assert why["child"] == "is the label of the zone child.svc.local"
    assert not {"a", "deep", "example", "svc"} & why.keys()


def test_rfc6763_the_name_of_the_browsing_branch_is_reserved_in_every_zone() -> None:
    assert "dns-sd" in _why({"svc.local": ""})
    assert "dns-sd" in _why({"consul": ""})


@pytest.mark.parametrize("name", ["dc1", "service"])
def test_consuls_branches_are_reserved_while_a_zone_consul_is_configured(name: str) -> None:
    assert "consul" in _why({"svc.local": "", "consul": ""})[name]
    assert name not in _why({"svc.local": ""}, "consul")


def test_without_a_zone_of_services_nothing_is_reserved() -> None:
    assert reserved([], [from_text("child.svc.local")]) == {}


@pytest.mark.parametrize("name", ["child", "dns-sd"])
def test_what_is_reserved_could_not_be_found(name: str) -> None:
    """The reason for all of this: an SRV record whose target does not exist."""
    world = World(fixed={"child.svc.local": ""})
    world.add(name, "10.0.0.1", protocol="udp")
    assert (
        outcome(world.ask(f"{name}.svc.local", "SRV")) + outcome(world.ask(f"_{name}._udp.svc.local", "SRV"))
        != "ANSWER" * 2
    )


def test_the_reason_is_a_sentence_with_the_zone_in_it() -> None:
    zone: StaticZone = load({"svc.local": ""})[0]
    assert all(why.startswith(("has ", "is ")) for why in reserved([zone], [zone.origin]).values()), to_text(
        zone.origin
    )


ZONES = {
    "example.com": "host A 192.0.2.9\nsix AAAA 2001:db8::9\ntext TXT no\n"
    "alias CNAME host\n*.any CNAME host\ndown DNAME elsewhere.example.\n"
}


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("db.svc.local", "names of services"),
        ("blue.db.svc.local", "names of services"),
        ("_db._tcp.svc.local", "names of services"),
        ("nobody-yet.svc.local", "names of services"),
        ("ip-10-0-0-7-p80.deep.db.svc.local", "names of services"),
        ("svc.local", "no address in the zone svc.local"),
        ("ns.svc.local", None),
        ("ip-10-0-0-7-p80.db.svc.local", None),
        ("ip-10-0-0-7.db.svc.local", None),
        ("ip-10-0-0-7-p80.db.default.svc.local", None),
        ("fixed.svc.local", None),
        ("moved.svc.local", "take host.example.com,"),
        ("x.sub.svc.local", None),
        ("host.example.com", None),
        ("nobody.example.com", None),
        ("example.com", "no address in the zone example.com"),
        ("six.example.com", None),
        ("text.example.com", "no address in the zone"),
        ("alias.example.com", "take host.example.com,"),
        ("x.any.example.com", "take host.example.com,"),
        ("a.down.example.com", "take a.elsewhere.example,"),
    ],
)
def test_a_host_name_that_is_an_alias_of_ours_or_may_become_one_or_has_no_address_is_no_instances(
    host: str, says: str | None
) -> None:
    world = World("fixed A 192.0.2.7\nmoved CNAME host.example.com.\nsub NS ns.sub\nns.sub A 192.0.2.8\n", fixed=ZONES)
    zone = world.catalog.zone_of(from_text(host))
    assert zone is not None
    why = why_no_host(zone, from_text(host))
    assert (why is None) if says is None else (says in str(why))
