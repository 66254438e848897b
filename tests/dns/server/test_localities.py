"""DNS answers from the client's own zone: which records, their priorities, one kept answer a zone, and EDNS client subnet."""

from __future__ import annotations

import struct
from collections import Counter
from typing import Any

import dns.edns
import dns.message
import dns.rcode
import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.core.client_zones import ClientZones
from discovery.dns.message.client_subnet import Subnet
from tests.dns.world import CLIENT, FORWARDER, World, data, outcome

ZONES = "10.1.0.0/16=eu-a 10.2.0.0/16=eu-b 10.2.128.0/17=eu-c fd00:1::/48=eu-a"
A, B, C, NOWHERE = "10.1.0.9", "10.2.0.9", "10.2.200.9", CLIENT


def world_of(each: int = 5, **more: Any) -> World:
    """`web` with so many instances in each zone, at 10.ZONE.1.N."""
    world = World(hot=True, client_zones=ZONES, **more)
    for number, zone in enumerate(("eu-a", "eu-b", "eu-c"), 1):
        for last in range(1, each + 1):
            world.add("web", f"10.{number}.1.{last}", zone=zone.upper(), tags=["blue"])
    return world


def zones_in(message: dns.message.Message) -> Counter[str]:
    """Of addresses, how many are in which zone."""
    return Counter(text.split(".")[1] for text in data(message.answer))


def priorities(message: dns.message.Message) -> dict[str, set[str]]:
    """Of SRV records, those of each zone."""
    found: dict[str, set[str]] = {}
    for text in data(message.answer):
        priority, _, _, target = text.split()
        found.setdefault(target.split("-")[2], set()).add(priority)
    return found


def why(message: dns.message.Message) -> list[str]:
    return [option.text for option in message.options if isinstance(option, dns.edns.EDEOption) and option.text]


def subnet(text: str) -> dns.edns.Option:
    return dns.edns.ECSOption.from_text(text)


def scope(message: dns.message.Message) -> tuple[str, int, int] | None:
    found = [option for option in message.options if isinstance(option, dns.edns.ECSOption)]
    assert len(found) <= 1
    return (found[0].address, found[0].srclen, found[0].scopelen) if found else None


def failing(world: World, count: int, zone: int = 1, each: int = 5) -> None:
    for last in range(1, each + 1):
        world.check("web", f"10.{zone}.1.{last}", failing="refused" if last <= count else None)


@pytest.mark.parametrize("name", ["web.svc.local", "blue.web.svc.local"])
def test_addresses_are_those_of_the_clients_zone(name: str) -> None:
    world = world_of()
    for client, only in ((A, "1"), (B, "2"), (C, "3"), (A, "1")):
        message = world.ask(name, client=client, edns=1232)
        assert zones_in(message) == {only: 5}
        assert why(message)[0].startswith("from eu-")
        assert why(message)[0].endswith(": 5 of 5 are healthy here, so none is from elsewhere")
    plain = world.ask(name, client=NOWHERE, edns=1232)
    assert zones_in(plain) == {"1": 5, "2": 5, "3": 5}
    assert not why(plain)
    assert zones_in(world.ask("EU-B.zone." + name.removeprefix("blue."), client=A)) == {"2": 5}


def test_srv_has_all_and_others_one_priority_further_on() -> None:
    world = world_of()
    for name in ("web.svc.local", "_web._tcp.svc.local"):
        message = world.ask(name, "SRV", client=A, udp=False)
        assert priorities(message) == {"1": {"10"}, "2": {"11"}, "3": {"11"}}
        assert len(data(message.answer)) == 15
        assert [text.split()[0] for text in data(message.answer)] == ["10"] * 5 + ["11"] * 10
        assert priorities(world.ask(name, "SRV", client=NOWHERE, udp=False)) == {"1": {"10"}, "2": {"10"}, "3": {"10"}}


def test_a_zone_that_limps_gets_others_and_one_that_died_gets_all() -> None:
    world = world_of()
    failing(world, 3)
    message = world.ask("web.svc.local", client=A, edns=1232)
    assert zones_in(message)["1"] == 2
    assert zones_in(message).total() == 4  # 70 % of five
    assert why(message) == ["from eu-a: 2 of 5 are healthy here, so 5 in 10 are from elsewhere"]
    chosen = {text for text in data(message.answer) if not text.startswith("10.1.")}
    for _ in range(20):
        assert chosen == {text for text in data(world.ask("web.svc.local", client=A).answer) if text[:5] != "10.1."}
    srv = world.ask("web.svc.local", "SRV", client=A, udp=False)
    assert Counter(text.split()[0] for text in data(srv.answer)) == {"10": 4, "11": 8}
    failing(world, 5)
    message = world.ask("web.svc.local", client=A, edns=1232)
    assert zones_in(message) == {"2": 5, "3": 5}
    assert why(message) == ["from eu-a: 0 of 5 are healthy here, so all are from elsewhere"]
    failing(world, 0)
    assert zones_in(world.ask("web.svc.local", client=A)) == {"1": 5}
    assert world.preference.answers["eu-a", "dns", True] == 1 + 20 + 1 + 1
    assert world.preference.answers["eu-a", "dns", False] == 1


def test_a_family_counts_for_itself() -> None:
    world = world_of(2)
    world.add("web", "fd00:1::1", zone="eu-a")
    world.add("web", "fd00:2::1", zone="eu-b")
    assert len(data(world.ask("web.svc.local", "AAAA", client=A).answer)) == 2
    world.add("web", "fd00:1::2", zone="eu-a")
    assert set(data(world.ask("web.svc.local", "AAAA", client=A).answer)) == {"fd00:1::1", "fd00:1::2"}
    assert zones_in(world.ask("web.svc.local", client=A)) == {"1": 2}


def test_one_answer_a_zone_is_kept_and_a_change_drops_them_all() -> None:
    world = world_of()
    for _ in range(3):
        for client in (A, "10.1.77.1", B, C, NOWHERE):
            world.ask("web.svc.local", client=client)
    assert world.asked == 4
    world.remove("web", "10.1.1.1")
    for _ in range(3):
        assert [zones_in(world.ask("web.svc.local", client=client)).total() for client in (A, B, NOWHERE)] == [4, 5, 14]
    assert world.asked == 7


def test_kept_answers_are_bounded_over_all_zones(monkeypatch: pytest.MonkeyPatch) -> None:
    from discovery.dns.server import kept_answers

    world = world_of()
    monkeypatch.setattr(kept_answers, "MAX_OCTETS", 4 * 1500)
    for number in range(20):
        world.add(f"web{number}", "10.1.1.1", zone="eu-a")
        for client in (A, B, C, NOWHERE):
            world.ask(f"web{number}.svc.local", client=client)
    assert world.kept is not None
    assert world.kept._octets <= 4 * 1500


async def test_another_map_holds_at_once() -> None:
    world = world_of()
    assert zones_in(world.ask("web.svc.local", client=A)) == {"1": 5}
    await world.preference.use(ClientZones.read([("", "10.1.0.0/16=eu-b")]))
    assert zones_in(world.ask("web.svc.local", client=A)) == {"2": 5}
    assert zones_in(world.ask("web.svc.local", client=C)).total() == 15


def test_the_load_of_real_answers_keeps_the_bound() -> None:
    """As tests/store/test_nearness.py has it, over packets."""
    world = world_of(10)
    for down in (0, 1, 2, 3):
        failing(world, down, each=10)
        load: Counter[str] = Counter()
        for client in (A, B, C):
            answers = data(world.ask("web.svc.local", client=client).answer)
            for text in answers:
                load[text] += 600 / len(answers)  # type: ignore[assignment]  # parts of one
        assert len(load) == 30 - down
        assert max(load.values()) <= 1.5 * 1800 / (30 - down)


# -- EDNS client subnet


@pytest.mark.parametrize(
    ("asked", "zones", "scopelen"),
    [
        ("10.1.5.0/24", {"1": 5}, 16),
        ("10.2.5.0/24", {"2": 5}, 17),
        ("10.2.200.0/24", {"3": 5}, 17),
        ("10.2.0.0/16", {"1": 5, "2": 5, "3": 5}, 17),  # too short: half of it is in another zone
        ("0.0.0.0/0", {"1": 5, "2": 5, "3": 5}, 0),
        ("192.0.2.0/24", {"1": 5, "2": 5, "3": 5}, 1),  # in none, as all from 128.0.0.0 on
        ("fd00:1::/56", {"1": 5}, 48),
        ("::ffff:10.1.5.0/120", {"1": 5}, 96 + 16),
    ],
)
def test_a_forwarders_subnet_says_the_zone_and_the_scope_who_else_may_have_the_answer(
    asked: str, zones: dict[str, int], scopelen: int
) -> None:
    world = world_of()
    message = world.ask("web.svc.local", client=FORWARDER, edns=1232, options=[subnet(asked)])
    assert zones_in(message) == zones
    address, source = asked.split("/")
    assert scope(message) == (address, int(source), scopelen)


def test_the_scope_is_0_where_no_zone_changes_anything() -> None:
    world = World("www IN A 192.0.2.80\n", hot=True, client_zones=ZONES)
    world.add("alone", "10.1.1.1", zone="eu-a")
    world.add("alone", "10.2.1.1", zone="eu-b")
    world.add("anywhere", "10.1.1.2")
    asked = [subnet("10.1.5.0/24")]
    for name, rtype in (
        ("alone.svc.local", "A"), ("anywhere.svc.local", "SRV"), ("alone.svc.local", "TXT"), ("alone.svc.local", "AAAA"),
        ("www.svc.local", "A"), ("nobody.svc.local", "A"), ("svc.local", "SOA"),
    ):  # fmt: skip
        assert scope(world.ask(name, rtype, client=FORWARDER, edns=1232, options=asked)) == ("10.1.5.0", 24, 0), name


def test_others_subnet_is_not_read_and_not_echoed() -> None:
    world = world_of()
    for client, zones in ((NOWHERE, 15), (B, 5)):
        message = world.ask("web.svc.local", client=client, edns=1232, options=[subnet("10.1.5.0/24")])
        assert scope(message) is None
        assert zones_in(message).total() == zones


def test_a_forwarder_that_says_nothing_is_a_client_like_others() -> None:
    world = world_of()
    assert scope(world.ask("web.svc.local", client=FORWARDER, edns=1232)) is None
    assert zones_in(world.ask("web.svc.local", client=FORWARDER)).total() == 15
    assert world.send(b"\0" * 5, client=FORWARDER) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\1\x18",
        b"\0\1\x18\0\x0a\1",  # two octets where a /24 has three
        b"\0\1\x18\0\x0a\1\5\0",
        b"\0\1\x14\0\x0a\1\xff",  # bits beyond the prefix
        b"\0\1\x18\x10\x0a\1\5",  # a scope in a query
        b"\0\1\x21\0\x0a\1\5\0\0",
        b"\0\3\x18\0\x0a\1\5",
    ],
)
def test_a_malformed_subnet_is_a_format_error_from_a_forwarder_and_nothing_from_others(data: bytes) -> None:
    world = world_of()
    options = [dns.edns.GenericOption(dns.edns.OptionType.ECS, data)]
    assert outcome(world.ask("web.svc.local", client=FORWARDER, edns=1232, options=options)) == "FORMERR"
    assert outcome(world.ask("web.svc.local", client=A, edns=1232, options=options)) == "ANSWER"


@given(st.binary(max_size=24))
def test_octets_of_a_subnet_are_read_or_refused(octets: bytes) -> None:
    try:
        found = Subnet.parse(octets)
    except ValueError:
        return
    family, source, _ = struct.unpack_from("!HBB", octets)
    assert (found.network.version, found.network.prefixlen) == ({1: 4, 2: 6}[family], source)
    assert found._replace(scope=9).reply(True)[4:] == octets[:3] + b"\x09" + octets[4:]


def test_the_scope_of_a_chain_is_that_of_its_aliases_too() -> None:
    """Whoever is in another zone is led elsewhere, though the last name says the same to everybody."""
    hosts = "".join(f"host{number} IN A 192.0.2.{number}\n" for number in range(1, 5))
    world = World(hot=True, client_zones=ZONES, fixed={"example.com": hosts})
    for number, zone in enumerate(("eu-a", "eu-a", "eu-b", "eu-b"), 1):
        world.add("web", f"host{number}.example.com", zone=zone)
    for asked, host in (("10.1.5.0/24", {"192.0.2.1", "192.0.2.2"}), ("10.2.5.0/24", {"192.0.2.3", "192.0.2.4"})):
        message = world.ask("web.svc.local", client=FORWARDER, edns=1232, options=[subnet(asked)])
        assert data(message.answer)[-1] in host
        assert scope(message) == (asked[:-3], 24, 16 if asked.startswith("10.1.") else 17)


def test_a_zones_kept_answers_are_one_for_its_clients_and_for_forwarders_that_name_it() -> None:
    world = world_of()
    cookie = dns.edns.CookieOption(b"12345678", b"")
    for number in range(3):
        message = world.ask(
            "web.svc.local", client=FORWARDER, edns=1232, options=[subnet(f"10.1.{number}.0/24"), cookie]
        )
        assert scope(message) == (f"10.1.{number}.0", 24, 16)
        assert zones_in(message) == zones_in(world.ask("web.svc.local", client=A)) == {"1": 5}
    assert world.asked == 1
    assert world.preference.answers["eu-a", "dns", False] == 6


def test_subnets_in_no_zone_have_kept_answers_of_their_own_for_these_have_a_scope() -> None:
    world = world_of()
    world.ask("web.svc.local", client=NOWHERE)
    for number in range(3):
        message = world.ask("web.svc.local", client=FORWARDER, edns=1232, options=[subnet(f"192.0.{number}.0/24")])
        assert (scope(message), zones_in(message).total()) == ((f"192.0.{number}.0", 24, 1), 15)
    assert world.asked == 2
    assert scope(world.ask("nobody.svc.local", client=FORWARDER, edns=1232, options=[subnet("10.1.5.0/24")])) == (
        "10.1.5.0",
        24,
        0,
    )
