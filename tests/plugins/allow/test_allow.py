"""Who is refused what: by name, by address, and by all the ways round that one might try."""

from __future__ import annotations

import itertools

import pytest

from discovery.dns.message.names import from_text, to_wire
from discovery.dns.message.query import HTTPS, UDP, Transport
from discovery.dns.message.values import RR, Answer, Deferred, Question, Type
from discovery.system.env import SettingsError
from tests.dns.compared import said as compared
from tests.dns.world import make_query, parsed, request
from tests.plugins.allow.asked import INSIDE, OUTSIDE, Asked, is_refused

RULE = "svc.local=10.0.0.0/8|fd00::/8"
NAMES = [
    "web.svc.local", "WEB.svc.LOCAL", "_web._tcp.svc.local", "ip-10-0-0-1-p3001.web.svc.local", "blue.web.svc.local",
    "nobody.svc.local", "a.b.c.d.svc.local", "svc.local", "ns.svc.local", "here.svc.local", "_services._dns-sd._udp.svc.local",
    "web.default.svc.local", "*.svc.local",
]  # fmt: skip
TYPES = ["A", "AAAA", "SRV", "TXT", "PTR", "SOA", "NS", "ANY", "HTTPS", "DS", "TYPE65280"]


def asked(rules: str | None = RULE) -> Asked:
    it = Asked(rules)
    it.add("web", "10.0.0.1", tags=["blue"])
    it.add("web", "2001:db8::1")
    return it


@pytest.mark.parametrize("transport", [UDP, Transport(keepalive=10.0), Transport(private=True), HTTPS], ids=repr)
@pytest.mark.parametrize("name", NAMES)
def test_a_client_outside_is_refused_whatever_it_asks_about_the_zone(name: str, transport: Transport) -> None:
    it = asked()
    for rtype in TYPES:
        assert is_refused(it.ask(name, rtype, OUTSIDE, transport)), rtype
    assert it.looked_up == 0, "nobody is asked, so names that exist look like names that do not"


@pytest.mark.parametrize("name", NAMES)
def test_a_client_inside_gets_what_it_would_get_without_the_feature(name: str) -> None:
    with_it, without = asked(), asked(None)
    for rtype, edns, _ in itertools.product(TYPES, [None, 1232], ["first", "kept"]):
        packet = make_query(name, rtype, edns=edns, id=7).to_wire()
        one, other = (parsed(world.raw(packet, INSIDE)) for world in (with_it, without))
        assert (one.rcode(), one.flags, one.options) == (other.rcode(), other.flags, other.options), rtype
        for section in ("answer", "authority", "additional"):
            assert compared(getattr(one, section)) == compared(getattr(other, section)), rtype


@pytest.mark.parametrize(
    ("client", "allowed"),
    [
        ("10.0.0.0", True),
        ("10.255.255.255", True),
        ("11.0.0.0", False),
        ("9.255.255.255", False),
        ("::ffff:10.1.2.3", True),
        ("::ffff:192.0.2.1", False),
        ("::10.1.2.3", False),
        ("64:ff9b::a01:203", False),
        ("fd00::1", True),
        ("fd00::1%eth0", True),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("::1", False),
        ("127.0.0.1", False),
        ("", False),
        ("unix:", False),
    ],
)
def test_addresses_count_as_what_they_are(client: str, allowed: bool) -> None:
    it = asked()
    for _ in range(2):
        answer = it.ask("web.svc.local", client=client)
        assert (answer.data == {"10.0.0.1"}) if allowed else is_refused(answer)


@pytest.mark.parametrize("edns", [None, 512, 1232, 4096])
@pytest.mark.parametrize("name", ["web.svc.local", "WeB.SvC.lOcAl", "nobody.svc.local"])
def test_what_an_allowed_client_has_warmed_does_not_answer_a_forbidden_one(name: str, edns: int | None) -> None:
    it = asked()
    for _ in range(3):
        it.ask(name, client=INSIDE, edns=edns)
    packet = make_query(name, edns=edns).to_wire()
    assert parsed(it.raw(packet, OUTSIDE)).rcode() == 5
    assert is_refused(it.ask(name, client=OUTSIDE))


def test_what_a_forbidden_client_was_told_is_not_told_to_an_allowed_one() -> None:
    it = asked()
    for _ in range(3):
        assert is_refused(it.ask("web.svc.local", client=OUTSIDE))
    assert it.ask("web.svc.local", client=INSIDE).data == {"10.0.0.1"}


def test_allowed_clients_stay_on_the_hot_path() -> None:
    it = asked()
    for _ in range(50):
        assert it.ask("web.svc.local", client=INSIDE).data == {"10.0.0.1"}
    assert it.looked_up == 1


def test_without_bare_networks_other_zones_are_open_to_all() -> None:
    it = asked()
    assert it.ask("web.legacy.local", client=OUTSIDE).data == {"10.0.0.1"}
    assert it.ask("secret.corp.example", client=OUTSIDE).data == {"192.0.2.77"}
    assert it.ask("www.example.com", client=OUTSIDE).rcode == "REFUSED"
    assert it.ask("www.example.com", client=OUTSIDE).ede == (20, "www.example.com is not in a zone of this server")


def test_bare_networks_are_for_all_that_no_rule_names_our_zones_or_not() -> None:
    it = asked("10.0.0.0/8,corp.example=192.0.2.0/24")
    assert it.ask("secret.corp.example", client=OUTSIDE).data == {"192.0.2.77"}
    assert is_refused(it.ask("secret.corp.example", client=INSIDE), "corp.example")
    for name in ("web.svc.local", "web.legacy.local", "1.0.0.10.in-addr.arpa", "www.example.com", "."):
        assert is_refused(it.ask(name, client=OUTSIDE), "this server"), name
    assert it.ask("web.svc.local", client=INSIDE).data == {"10.0.0.1"}
    assert it.ask("1.0.0.10.in-addr.arpa", "PTR", client=INSIDE).data


def test_a_zone_below_obeys_the_rule_above_until_it_has_its_own() -> None:
    assert is_refused(asked().ask("host.deep.svc.local", client=OUTSIDE))
    own = asked(RULE + ",deep.svc.local=192.0.2.0/24")
    assert own.ask("host.deep.svc.local", client=OUTSIDE).data == {"192.0.2.78"}
    assert is_refused(own.ask("host.deep.svc.local", client=INSIDE), "deep.svc.local")
    assert is_refused(own.ask("web.svc.local", client=OUTSIDE))


def test_an_alias_tells_where_it_leads_and_no_more() -> None:
    it = asked()
    assert it.ask("outward.corp.example", client=OUTSIDE).data == {"web.svc.local."}
    closed = asked("corp.example=10.0.0.0/8")
    assert closed.ask("inward.svc.local", client=OUTSIDE).data == {"secret.corp.example."}
    assert is_refused(closed.ask("secret.corp.example", client=OUTSIDE), "corp.example")


@pytest.mark.parametrize("rtype", ["A", "AAAA", "CNAME", "TXT"])
def test_an_alias_is_followed_into_another_zone_by_those_who_may_ask_there(rtype: str) -> None:
    it = asked()
    assert it.ask("outward.corp.example", rtype, INSIDE) == asked(None).ask("outward.corp.example", rtype)
    assert it.ask("outward.corp.example", "A", INSIDE).data == {"web.svc.local.", "10.0.0.1"}


def test_aliases_through_a_closed_zone_end_at_its_border() -> None:
    files = {"legacy.local": "a IN CNAME b.corp.example.\n", "corp.example": "b IN CNAME c.svc.local.\n"}
    it = Asked("corp.example=10.0.0.0/8", **files)
    assert it.ask("a.legacy.local", client=OUTSIDE) == ("NOERROR", {"b.corp.example."}, None), (
        "not even that c does not exist"
    )
    assert it.ask("a.legacy.local", client=INSIDE).data == {"b.corp.example.", "c.svc.local."}


def test_aliases_through_a_closed_zone_are_not_followed_to_the_outside_either() -> None:
    """Behind this feature stands `forward`, which would ask others for what the closed zone names."""
    names = [from_text(text) for text in ("a.legacy.local", "b.corp.example", "www.example.net")]
    chain = [RR(one, Type.CNAME, 60, to_wire(other)) for one, other in itertools.pairwise(names)]

    async def ask() -> Answer:
        raise AssertionError("nobody is to be asked")

    it = Asked("corp.example=10.0.0.0/8")
    assert it.allow is not None
    lookup = it.allow.lookup(lambda request, now: Deferred(ask, Answer.of(chain)))
    assert lookup(request(Question(names[0], Type.A), OUTSIDE), 0.0) == Answer.of(chain[:1])
    assert isinstance(lookup(request(Question(names[0], Type.A), INSIDE), 0.0), Deferred)


@pytest.mark.parametrize("rtype", TYPES)
@pytest.mark.parametrize("address", ["1.0.0.10.in-addr.arpa", f"1.{'0.' * 23}8.b.d.0.1.0.0.2.ip6.arpa"])
def test_reverse_names_obey_the_zone_whose_names_they_tell(address: str, rtype: str) -> None:
    it = asked()
    assert is_refused(it.ask(address, rtype, OUTSIDE))
    assert it.ask(address, rtype, INSIDE).rcode == "NOERROR"
    legacy = asked("legacy.local=10.0.0.0/8")
    assert legacy.ask(address, rtype, OUTSIDE) == asked(None).ask(address, rtype, OUTSIDE)


def test_reverse_names_that_nobody_has_say_what_they_always_say() -> None:
    it = asked()
    assert it.ask("9.9.9.9.in-addr.arpa", "PTR", OUTSIDE) == asked(None).ask("9.9.9.9.in-addr.arpa", "PTR", OUTSIDE)


def test_reverse_names_may_have_a_rule_of_their_own() -> None:
    it = asked(RULE + ",10.in-addr.arpa=192.0.2.0/24")
    assert it.ask("1.0.0.10.in-addr.arpa", "PTR", OUTSIDE).data
    assert is_refused(it.ask("1.0.0.10.in-addr.arpa", "PTR", INSIDE), "10.in-addr.arpa")


def test_the_servers_own_names_are_open() -> None:
    it = asked("10.0.0.0/8")
    assert it.ask("version.bind", "TXT", OUTSIDE, rdclass="CH").data == {'"v"'}


def test_another_class_is_no_way_round() -> None:
    it = asked()
    for klass in ("CH", "HS", "ANY", "CLASS42"):
        assert it.ask("web.svc.local", "A", OUTSIDE, rdclass=klass).rcode == "REFUSED"
        assert it.ask("web.svc.local", "A", OUTSIDE, rdclass=klass).data == set()


async def test_a_rule_about_no_zone_is_an_error_at_start() -> None:
    it = asked("svc.locl=10.0.0.0/8")
    assert it.allow is not None
    with pytest.raises(SettingsError, match=r"^DNS_ALLOW: svc\.locl is no zone of this server, which has .*svc\.local"):
        await it.allow.open(None)  # type: ignore[arg-type]
    fine = asked(RULE + ",::/0").allow
    assert fine is not None
    await fine.open(None)  # type: ignore[arg-type]
