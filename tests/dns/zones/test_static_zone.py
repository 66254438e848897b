"""Fixed records by RFC 1034 §4.3.2: wildcards, empty non-terminals, delegations, companions; and how they live beside services."""

from __future__ import annotations

import dns.flags
import pytest

from tests.dns.world import World, data, outcome, records

# RFC 4592 §2.2.1, its example zone.
RFC4592 = """
*               TXT "this is a wildcard"
*               MX  10 host1
sub.*           TXT "this is not a wildcard"
host1           A   192.0.2.1
_ssh._tcp.host1 SRV 0 0 22 host1
_ssh._tcp.host2 SRV 0 0 22 host1
subdel          NS  ns.example.com.
subdel          NS  ns.example.net.
"""
WILD, NOT_WILD, MX = ['"this is a wildcard"'], ['"this is not a wildcard"'], ["10 host1.example."]

WILDCARDS = {
    "2.2.1-host3-MX-is-synthesized": ("host3.example", "MX", "ANSWER", MX),
    "2.2.1-host3-A-is-nodata": ("host3.example", "A", "NODATA", []),
    "2.2.1-foo.bar-TXT-is-synthesized-over-labels": ("foo.bar.example", "TXT", "ANSWER", WILD),
    "2.2.1-host1-MX-exists-so-nodata": ("host1.example", "MX", "NODATA", []),
    "2.2.1-sub.*-MX-exists-so-nodata": ("sub.*.example", "MX", "NODATA", []),
    "2.2.1-sub.*-TXT-is-itself": ("sub.*.example", "TXT", "ANSWER", NOT_WILD),
    "2.2.1-_telnet._tcp.host1-closest-encloser-exists": ("_telnet._tcp.host1.example", "SRV", "NXDOMAIN", []),
    "2.2.1-host.subdel-is-a-referral": ("host.subdel.example", "A", "REFERRAL", []),
    "2.2.1-ghost.*-MX-the-asterisk-exists": ("ghost.*.example", "MX", "NXDOMAIN", []),
    "2.1.1-the-asterisk-itself-TXT": ("*.example", "TXT", "ANSWER", WILD),
    "2.2.2-host2-is-an-empty-non-terminal": ("host2.example", "MX", "NODATA", []),
    "2.2.2-_tcp.host1-is-an-empty-non-terminal": ("_tcp.host1.example", "TXT", "NODATA", []),
    "2.2.2-below-an-empty-non-terminal": ("x.host2.example", "TXT", "NXDOMAIN", []),
    "3.3.1-below-an-existing-host": ("x.host1.example", "TXT", "NXDOMAIN", []),
    "2.2.1-case": ("HOST3.EXAMPLE", "MX", "ANSWER", MX),
    "1-the-apex-is-never-synthesized": ("example", "TXT", "NODATA", []),
    "RFC8482-any": ("host3.example", "ANY", "ANSWER", ['"RFC8482" ""']),
}  # fmt: skip


@pytest.fixture(name="example", scope="module")
def _example() -> World:
    return World(fixed={"example": RFC4592})


@pytest.mark.parametrize(("name", "rtype", "what", "answer"), WILDCARDS.values(), ids=WILDCARDS)
def test_rfc4592_wildcards(example: World, name: str, rtype: str, what: str, answer: list[str]) -> None:
    reply = example.ask(name, rtype)
    assert (outcome(reply), data(reply.answer)) == (what, answer)
    assert {record.name.lower() for record in records(reply.answer)} <= {name.lower()}


@pytest.mark.parametrize("name", ["*.dbl", "x.dbl", "x.y.dbl", "*"])
def test_rfc4592_2_2_2_and_4_3_a_wildcard_without_records_is_nodata(name: str) -> None:
    """`*.*.dbl` makes `*.dbl` exist, and the asterisk in it stands for other labels too."""
    assert outcome(World("*.*.dbl A 127.0.0.2\n").ask(f"{name}.svc.local")) == ("NXDOMAIN" if name == "*" else "NODATA")


@pytest.mark.parametrize("hot", [False, True])
def test_rfc4592_2_2_2_the_same_right_below_the_origin(hot: bool) -> None:
    assert outcome(World("*.* A 127.0.0.2\n", hot=hot).ask("x.svc.local")) == "NODATA"


def test_rfc4592_3_3_1_no_wildcard_reaches_past_the_name_of_another_zone() -> None:
    world = World("* TXT x\n", fixed={"a.deep.svc.local": ""})
    assert outcome(world.ask("other.svc.local", "TXT")) == "ANSWER"
    assert outcome(world.ask("deep.svc.local", "TXT")) == "NODATA"
    assert outcome(world.ask("other.deep.svc.local", "TXT")) == "NXDOMAIN"


DELEGATION = """
sub       NS   ns.sub
sub       NS   ns2.sub
sub       NS   ns.elsewhere.example.
ns.sub    A    192.0.2.54
ns.sub    AAAA 2001:db8::54
ns2.sub   A    192.0.2.55
secret.sub TXT "below a cut"
"""


@pytest.mark.parametrize(
    ("name", "rtype"),
    [("sub", "A"), ("sub", "NS"), ("sub", "SOA"), ("sub", "ANY"), ("host.sub", "A"), ("a.b.c.SUB", "SRV"), ("ns.sub", "A"),
     ("secret.sub", "TXT")],
)  # fmt: skip
def test_rfc1034_4_3_2_at_and_below_a_cut_is_a_referral_with_glue(name: str, rtype: str) -> None:
    reply = World(DELEGATION).ask(f"{name}.svc.local", rtype)
    assert outcome(reply) == "REFERRAL"
    assert not reply.answer
    assert {(record.name.lower(), record.type, record.data) for record in records(reply.authority)} == {
        ("sub.svc.local", "NS", target)
        for target in ("ns.sub.svc.local.", "ns2.sub.svc.local.", "ns.elsewhere.example.")
    }
    assert sorted(data(reply.additional)) == ["192.0.2.54", "192.0.2.55", "2001:db8::54"]


def test_rfc4035_3_1_4_1_ds_at_a_cut_is_the_parents_to_answer() -> None:
    reply = World(DELEGATION).ask("sub.svc.local", "DS")
    assert outcome(reply) == "NODATA"
    assert [record.type for record in records(reply.authority)] == ["SOA"]


def test_the_highest_cut_wins() -> None:
    world = World("a NS ns.example.\nb.a NS ns.other.example.\n")
    assert data(world.ask("x.b.a.svc.local").authority) == ["ns.example."]


ENT = "host.rack.room A 192.0.2.1\nhost.hall CNAME host.rack.room\n"


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("room", "NODATA"),
        ("rack.room", "NODATA"),
        ("hall", "NODATA"),
        ("x.room", "NXDOMAIN"),
        ("x.rack.room", "NXDOMAIN"),
        ("x.host.rack.room", "NXDOMAIN"),
        ("roo", "NXDOMAIN"),
        ("host.rack.room", "ANSWER"),
    ],
)
@pytest.mark.parametrize("rtype", ["A"])
def test_rfc8020_a_name_exists_when_one_below_it_does(name: str, rtype: str, what: str) -> None:
    assert outcome(World(ENT).ask(f"{name}.svc.local", rtype)) == what


@pytest.mark.parametrize("name", ["rack.room", "b.a.room", "zone.b.room"])
def test_rfc8020_also_when_a_service_has_the_name_above(name: str) -> None:
    """`room` is a service; the file has a name some labels below it, so what lies between them exists."""
    world = World(f"host.{name} A 192.0.2.1\n")
    world.add("room", "10.0.0.1")
    assert data(world.ask(f"host.{name}.svc.local").answer) == ["192.0.2.1"]
    assert outcome(world.ask(f"{name}.svc.local")) == "NODATA"


def test_a_wildcard_below_a_service_answers_for_names_that_the_service_does_not_have() -> None:
    """The files' wildcards come last, for names that neither has."""
    world = World("*.web A 192.0.2.99\n")
    world.add("web", "10.0.0.1", tags=["blue"])
    assert data(world.ask("blue.web.svc.local").answer) == ["10.0.0.1"]
    assert data(world.ask("green.web.svc.local").answer) == ["192.0.2.99"]


def test_a_wildcard_at_the_top_steps_back_for_a_service_and_all_names_below_it() -> None:
    world = World("* A 192.0.2.99\n")
    assert data(world.ask("web.svc.local").answer) == ["192.0.2.99"]
    world.add("web", "10.0.0.1")
    assert data(world.ask("web.svc.local").answer) == ["10.0.0.1"]
    assert outcome(world.ask("green.web.svc.local")) == "NXDOMAIN"
    assert outcome(world.ask("web.svc.local", now=10.0)) == "NODATA"
    world.remove("web", "10.0.0.1")
    assert data(world.ask("green.web.svc.local").answer) == ["192.0.2.99"]


def test_a_fixed_name_wins_over_a_service() -> None:
    world = World("host A 192.0.2.1\n")
    world.add("host", "10.0.0.1")
    assert data(world.ask("host.svc.local").answer) == ["192.0.2.1"]


@pytest.mark.parametrize(
    ("name", "rtype", "additional"),
    [
        ("mail", "MX", {"192.0.2.1", "2001:db8::1", "192.0.2.2"}),
        ("_sip._udp.mail", "SRV", {"192.0.2.1", "2001:db8::1"}),
        ("", "NS", {"192.0.2.53"}),
        ("far", "MX", set()),
        ("mail", "TXT", set()),
    ],
)
def test_rfc1035_3_3_9_the_hosts_of_an_answer_are_in_additional(name: str, rtype: str, additional: set[str]) -> None:
    world = World(
        "one A 192.0.2.1\none AAAA 2001:db8::1\ntwo A 192.0.2.2\nmail MX 1 one\nmail MX 2 two\nmail TXT x\n"
        "_sip._udp.mail SRV 1 2 5060 one\nfar MX 1 mx.example.com.\n"
    )
    reply = world.ask(f"{name}.svc.local".lstrip("."), rtype)
    assert outcome(reply) == "ANSWER"
    assert len(reply.additional) == len(additional)
    assert set(data(reply.additional)) == additional


def test_the_zone_with_the_longest_origin_answers() -> None:
    world = World(
        "host.deep A 192.0.2.1\n", fixed={"deep.svc.local": "host A 192.0.2.2\n", "local": "host A 192.0.2.3\n"}
    )
    assert data(world.ask("host.deep.svc.local").answer) == ["192.0.2.2"]
    assert data(world.ask("host.local").answer) == ["192.0.2.3"]
    assert outcome(world.ask("host.svc.local")) == "NXDOMAIN"
    for name in ("nope.deep.svc.local", "nope.local"):
        reply = world.ask(name)
        assert [record.name for record in records(reply.authority)] == [name.removeprefix("nope.")]
        assert reply.flags & dns.flags.AA
