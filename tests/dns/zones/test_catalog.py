"""Several zones of one server: aliases from one into another, and which side of a zone cut answers for DS."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import dns.flags
import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.dns.message.names import Name
from discovery.dns.zones.catalog import Catalog
from tests.dns.world import World, data, outcome, records

OTHER = """
host  A     192.0.2.9
web   CNAME web.svc.local.
back  CNAME there.svc.local.
circle CNAME circle.svc.local.
"""
HERE = """
there   CNAME host.example.com.
thrice  CNAME back.example.com.
gone    CNAME nobody.example.com.
empty   CNAME host.example.com.
circle  CNAME circle.example.com.
out     CNAME www.example.net.
address CNAME 1.0.0.10.in-addr.arpa.
"""


@pytest.fixture(name="world", scope="module")
def _world() -> World:
    world = World(HERE, fixed={"example.com": OTHER}, lease=100.0)
    world.add("web", "10.0.0.1")
    return world


@pytest.mark.parametrize(
    ("name", "rtype", "what", "answer"),
    [
        ("there.svc.local", "A", "ANSWER", ["host.example.com.", "192.0.2.9"]),
        (
            "thrice.svc.local",
            "A",
            "ANSWER",
            ["back.example.com.", "there.svc.local.", "host.example.com.", "192.0.2.9"],
        ),
        ("web.example.com", "A", "ANSWER", ["web.svc.local.", "10.0.0.1"]),
        ("address.svc.local", "PTR", "ANSWER", ["1.0.0.10.in-addr.arpa.", "ip-10-0-0-1-p3001.web.svc.local."]),
        ("gone.svc.local", "A", "NXDOMAIN", ["nobody.example.com."]),
        ("empty.svc.local", "AAAA", "ANSWER", ["host.example.com."]),
        ("circle.svc.local", "A", "SERVFAIL", []),
        ("out.svc.local", "A", "ANSWER", ["www.example.net."]),
        ("there.svc.local", "CNAME", "ANSWER", ["host.example.com."]),
    ],
)
def test_rfc1034_4_3_2_an_alias_into_another_zone_of_ours_is_followed(
    world: World, name: str, rtype: str, what: str, answer: list[str]
) -> None:
    reply = world.ask(name, rtype)
    assert (outcome(reply), data(reply.answer)) == (what, answer)


@pytest.mark.parametrize("name", ["gone", "empty"])
def test_rfc2308_2_the_soa_of_a_no_at_the_end_of_aliases_is_that_of_the_last_zone(world: World, name: str) -> None:
    reply = world.ask(f"{name}.svc.local", "AAAA")
    assert [record.name for record in records(reply.authority)] == ["example.com"]
    assert reply.flags & dns.flags.AA


CUT = """
child NS ns.child
child DS 1 13 2 {}
""".format("ab" * 32)


def test_rfc4035_3_1_4_1_ds_of_a_zone_whose_parent_is_served_here_is_the_parents_to_answer() -> None:
    world = World(CUT, fixed={"child.svc.local": ""})
    reply = world.ask("child.svc.local", "DS")
    assert outcome(reply) == "ANSWER"
    without = World(fixed={"child.svc.local": ""}).ask("child.svc.local", "DS")
    assert (outcome(without), [record.name for record in records(without.authority)]) == ("NODATA", ["svc.local"])


def test_rfc4035_3_1_4_1_ds_of_a_zone_whose_parent_is_elsewhere_is_nodata_of_the_zone() -> None:
    reply = World().ask("svc.local", "DS")
    assert (outcome(reply), [record.name for record in records(reply.authority)]) == ("NODATA", ["svc.local"])


def test_rfc4035_3_1_4_1_everything_else_about_the_child_is_the_childs_to_answer() -> None:
    world = World(CUT, fixed={"child.svc.local": "@ TXT mine\n"})
    assert data(world.ask("child.svc.local", "TXT").answer) == ['"mine"']


def test_rfc6672_3_1_an_alias_back_to_the_owner_of_a_dname_is_no_circle() -> None:
    """A DNAME redirects what is below its owner, not the owner itself (§2.3)."""
    world = World("d DNAME e\nd A 192.0.2.7\nx.e CNAME d\n")
    reply = world.ask("x.d.svc.local")
    assert outcome(reply) == "ANSWER"
    assert [(record.name, record.type, record.data) for record in records(reply.answer)] == [
        ("d.svc.local", "DNAME", "e.svc.local."),
        ("x.d.svc.local", "CNAME", "x.e.svc.local."),
        ("x.e.svc.local", "CNAME", "d.svc.local."),
        ("d.svc.local", "A", "192.0.2.7"),
    ]


def test_rfc6672_3_1_a_circle_through_a_dname_is_servfail() -> None:
    assert outcome(World("d DNAME e\nx.e CNAME x.d\n").ask("x.d.svc.local")) == "SERVFAIL"


NAMES = st.lists(st.sampled_from([b"a", b"b"]), max_size=4).map(tuple)


@given(st.sets(NAMES), NAMES)
def test_the_zone_with_the_longest_origin_at_or_above_a_name_has_it(origins: set[Name], name: Name) -> None:
    zones: Any = [SimpleNamespace(origin=origin) for origin in origins]
    found = Catalog(zones).zone_of(name)
    above = [name[start:] for start in range(len(name) + 1) if name[start:] in origins]
    assert (None if found is None else found.origin) == (above[0] if above else None)
