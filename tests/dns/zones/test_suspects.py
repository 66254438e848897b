"""What is not healthy, in DNS: suspects behind the healthy ones and marked as stale (RFC 8914 §4.4), flapping ones where nothing better is
left, and nothing of those that were drained, are in maintenance, or fail their checks; kept answers follow at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import dns.edns
import dns.flags
import dns.message
import pytest

from discovery.core.instance import Key
from discovery.core.status import Probed
from discovery.store.damping import Damping
from discovery.store.probing import Probe
from tests.dns.world import World, data, outcome, records

STALE, OTHER = dns.edns.EDECode.STALE_ANSWER, dns.edns.EDECode.OTHER
LEASE, NOW = 10.0, 10.0
LAST = 65535

HEALTHY = [f"10.0.0.{number}" for number in range(1, 4)]
SUSPECT = [f"10.0.1.{number}" for number in range(1, 5)]
ALIASES = "alias CNAME web\nsecond CNAME alias\n*.wild CNAME web\n"
COOKIE = dns.edns.CookieOption(b"8 octets", b"")


def silent(healthy: list[str] = HEALTHY, suspects: list[str] = SUSPECT, **settings: Any) -> World:
    """`web` at NOW: `suspects` fell silent together, `healthy` beat a second ago."""
    world = World(ALIASES, lease=LEASE, brake_percent=30, damping=Damping(3, 60), **settings)
    for ip in healthy:
        world.add("web", ip, tags=["blue", "good"], ports={"http": 80}, weight=1, priority=7)
    for ip in suspects:
        world.add("web", ip, tags=["blue"], ports={"http": 80}, weight=60000, priority=0)
    for ip in healthy:
        world.beat("web", ip, now=NOW - 1)
    world.settle(NOW)
    return world


@pytest.fixture(name="world")
def _world() -> World:
    """Behind kept answers, as in the server; `test_kept_answers_parity` compares them with those that are not kept."""
    return silent(hot=True)


def explained(reply: dns.message.Message) -> list[tuple[int, str]]:
    return [(option.code, option.text or "") for option in reply.options if isinstance(option, dns.edns.EDEOption)]


def stale(reply: dns.message.Message, suspects: int, of: int) -> bool:
    """Whether it has one explanation, and that says how many of how many."""
    return [code for code, _ in explained(reply)] == [STALE] and f"{suspects} of {of}" in explained(reply)[0][1]


def ttls(reply: dns.message.Message) -> set[int]:
    return {record.ttl for record in records([*reply.answer, *reply.additional])}


@pytest.mark.parametrize("name", ["web", "_web._tcp", "_http._tcp.web", "blue.web"])
def test_rfc2782_suspects_are_srvs_least_preferred_and_the_healthy_ones_keep_their_priority(
    world: World, name: str
) -> None:
    for _ in range(3):
        reply = world.ask(f"{name}.svc.local", "SRV", now=NOW, edns=1232)
        ranks = {records([beside])[0].data: " ".join(data([rr])[0].split()[:2]) for rr, beside in _paired(reply)}
        assert ranks == dict.fromkeys(HEALTHY, "7 1") | dict.fromkeys(SUSPECT, f"{LAST} 60000")


def test_of_the_suspects_those_whose_port_accepts_are_preferred(world: World) -> None:
    entry = world.registry.at(Key("web", SUSPECT[2], 3001))
    world.registry.do(Probe("web", ((entry.instance.id, Probed.ACCEPTED),)), NOW)
    reply = world.ask("web.svc.local", "SRV", now=NOW, edns=1232)
    ranks = {records([beside])[0].data: int(data([rr])[0].split()[0]) for rr, beside in _paired(reply)}
    assert ranks == dict.fromkeys(HEALTHY, 7) | dict.fromkeys(SUSPECT, LAST) | {SUSPECT[2]: LAST - 1}


def _paired(reply: dns.message.Message) -> Iterator[tuple[Any, Any]]:
    """Each SRV record with the address of its target."""
    beside = {f"{record.name.to_text(True)}.": record for record in reply.additional}
    return ((rr, beside[data([rr])[0].split()[-1]]) for rr in reply.answer)


@pytest.mark.parametrize("rtype", ["A", "SRV"])
@pytest.mark.parametrize("name", ["web", "blue.web", "p3001.web", "alias", "second", "x.wild", "web.default"])
def test_the_healthy_ones_come_first_however_the_order_is_drawn(world: World, name: str, rtype: str) -> None:
    first = set()
    for round in range(24):
        reply = world.ask(f"{name}.svc.local", rtype, now=NOW, udp=round % 2 == 0, edns=1232)
        found = [text for text in data(reply.answer) if not text.startswith(("web.", "alias."))]
        answers = found if rtype == "A" else [text.split()[-1].split("-p")[0][3:].replace("-", ".") for text in found]
        assert set(answers[:3]) == set(HEALTHY)
        assert set(answers[3:]) == set(SUSPECT)
        first.add(answers[0])
    assert first == set(HEALTHY), "drawn anew for every reply"


def test_where_few_answers_are_asked_for_no_suspect_takes_the_place_of_a_healthy_one() -> None:
    world = silent(hot=True)
    world.add("web", "10.0.0.1", tags=["blue"], max_answers=2, now=NOW)
    for _ in range(20):
        assert set(data(world.ask("web.svc.local", now=NOW).answer)) < set(HEALTHY)
    for ip in HEALTHY[1:]:
        world.remove("web", ip, now=NOW)
    for _ in range(20):
        first, second = data(world.ask("web.svc.local", now=NOW).answer)
        assert first == "10.0.0.1"
        assert second in SUSPECT


def test_a_healthy_instance_at_the_address_of_a_suspect_makes_it_a_healthy_address() -> None:
    world = silent(suspects=[*SUSPECT, "10.0.0.9"])
    world.add("web", "10.0.0.9", 3002, now=NOW)
    for _ in range(20):
        answers = data(world.ask("web.svc.local", now=NOW).answer)
        assert len(answers) == 8
        assert "10.0.0.9" in answers[:4]


FORMS = [
    ("web", "A"), ("web", "SRV"), ("web", "TXT"), ("blue.web", "A"), ("p3001.web", "SRV"), ("_web._tcp", "SRV"), ("_web._tcp", "PTR"),
    ("_http._tcp.web", "SRV"), ("_blue._sub._web._tcp", "PTR"), ("alias", "A"), ("second", "SRV"), ("x.wild", "A"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "rtype"), FORMS)
def test_rfc8914_an_answer_with_suspects_says_that_it_is_stale(world: World, name: str, rtype: str) -> None:
    # The explanation is the first to go where all does not fit a datagram (RFC 8914 §3): PTR has much beside it.
    udp = rtype != "PTR"
    for more in ({"udp": udp}, {"udp": udp, "want_dnssec": True}, {"udp": udp, "options": [COOKIE]}, {"udp": False}):
        reply = world.ask(f"{name}.svc.local", rtype, now=NOW, edns=1232, **more)
        assert outcome(reply) == "ANSWER"
        assert stale(reply, 4, 7)
        assert "web" in explained(reply)[0][1]
        assert any(isinstance(option, dns.edns.CookieOption) for option in reply.options) == ("options" in more)


@pytest.mark.parametrize(("name", "rtype"), FORMS)
def test_clients_without_edns_get_the_same_records_and_no_opt(world: World, name: str, rtype: str) -> None:
    with_edns = world.ask(f"{name}.svc.local", rtype, now=NOW, edns=1232, udp=False)
    for _ in range(3):
        reply = world.ask(f"{name}.svc.local", rtype, now=NOW, udp=False)
        assert reply.edns == -1
        assert sorted(records(reply.answer)) == sorted(records(with_edns.answer))


@pytest.mark.parametrize(("name", "rtype"), FORMS)
def test_an_answer_with_suspects_is_kept_for_a_second_at_the_most(world: World, name: str, rtype: str) -> None:
    for now, left in ((NOW, 1), (NOW + 7.5, 1), (NOW + 8.5, 0)):  # the healthy ones' leases end at NOW + 9
        for _ in range(2):
            reply = world.ask(f"{name}.svc.local", rtype, now=now, udp=False)
            live = [record for record in records([*reply.answer, *reply.additional]) if record.type != "CNAME"]
            assert {record.ttl for record in live} == {left}


@pytest.mark.parametrize(
    ("name", "rtype"),
    [("good.web", "A"), ("good.web", "SRV"), ("ip-10-0-0-1-p3001.web", "A"), ("_good._sub._web._tcp", "PTR")],
)
def test_an_answer_without_suspects_is_as_ever(world: World, name: str, rtype: str) -> None:
    reply = world.ask(f"{name}.svc.local", rtype, now=NOW, edns=1232)
    assert not explained(reply)
    assert ttls(reply) == {5}


def test_where_nothing_healthy_is_left_suspects_are_the_answer() -> None:
    world = silent(healthy=[], hot=True)
    for now in (NOW, NOW + 0.5, NOW + 59):
        for name, rtype in FORMS:
            reply = world.ask(f"{name}.svc.local", rtype, now=now, edns=1232, udp=False)
            assert outcome(reply) == "ANSWER"
            assert stale(reply, 4, 4)
            if rtype == "SRV":
                assert {text.split()[0] for text in data(reply.answer) if " " in text} == {f"{LAST}"}
            if rtype == "A":
                assert {text for text in data(reply.answer) if text[0].isdigit()} == set(SUSPECT)


def test_one_suspect_by_its_own_name_is_stale_and_stays_the_target_of_its_srv_record(world: World) -> None:
    reply = world.ask("ip-10-0-1-1-p3001.web.svc.local", now=NOW, edns=1232)
    assert data(reply.answer) == ["10.0.1.1"]
    assert stale(reply, 1, 1)
    assert ttls(reply) == {1}


@pytest.mark.parametrize("rtype", ["SVCB", "HTTPS"])
def test_rfc9460_suspects_are_the_least_preferred_bindings(rtype: str) -> None:
    world = World(lease=LEASE, brake_percent=30)
    for ip in (*HEALTHY, *SUSPECT):
        world.add("web", ip, priority=7, metadata={"scheme": "https"})
    for ip in HEALTHY:
        world.beat("web", ip, now=NOW - 1)
    world.settle(NOW)
    reply = world.ask("web.svc.local", rtype, now=NOW, udp=False)
    assert sorted(int(text.split()[0]) for text in data(reply.answer)) == [7] * 3 + [LAST] * 4


def test_a_type_that_is_not_there_is_nodata_and_not_stale(world: World) -> None:
    reply = world.ask("web.svc.local", "AAAA", now=NOW, edns=1232)
    assert outcome(reply) == "NODATA"
    assert [code for code, _ in explained(reply)] == [OTHER]


def test_as_they_beat_again_the_answer_heals_at_once(world: World) -> None:
    for number, ip in enumerate(SUSPECT):
        assert stale(world.ask("web.svc.local", now=NOW, edns=1232), 4 - number, 7)
        world.beat("web", ip, now=NOW)
    for _ in range(2):
        reply = world.ask("web.svc.local", now=NOW, edns=1232)
        assert not explained(reply)
        assert ttls(reply) == {5}
        assert len(reply.answer) == 7
        priorities = {text.split()[0] for text in data(world.ask("web.svc.local", "SRV", now=NOW).answer)}
        assert priorities == {"7", "0"}


def test_those_that_the_brake_lets_go_leave_the_answer_and_the_last_makes_it_nodata() -> None:
    world = silent(healthy=[], hot=True, brake_max_seconds=20)
    left = [len(world.ask("web.svc.local", now=NOW + 19.9).answer)]
    for sweep in range(8):
        now = NOW + 20 + sweep * 5 + 4.9
        world.settle(now)
        left.append(len(world.ask("web.svc.local", now=now).answer))
    assert left == sorted(left, reverse=True)
    assert (left[0], left[1], left[-1]) == (4, 3, 0), "a bounded share a sweep"
    assert outcome(world.ask("web.svc.local", now=NOW + 64.9)) in ("NODATA", "NXDOMAIN")


def test_before_the_brake_has_spoken_silence_is_silence() -> None:
    """Expiry is tested at the read: until the reaper comes nobody is a suspect, and nobody is served past his lease."""
    world = World(lease=LEASE, brake_percent=30)
    for ip in SUSPECT:
        world.add("web", ip)
    assert outcome(world.ask("web.svc.local", now=NOW)) == "NODATA"
    world.settle(NOW)
    assert outcome(world.ask("web.svc.local", now=NOW)) == "ANSWER"


# -- flapping


def flapping(world: World, ip: str, now: float) -> None:
    world.add("web", ip, now=now)
    for failing in ("no", None) * 2:
        world.check("web", ip, failing=failing, now=now)


def test_flapping_ones_are_answers_where_nothing_better_is_left_and_say_so(world: World) -> None:
    flapping(world, "10.0.2.1", NOW)
    flapping(world, "10.0.2.2", NOW)
    for ip in (*HEALTHY, *SUSPECT):
        assert not {"10.0.2.1", "10.0.2.2"} & set(data(world.ask("web.svc.local", now=NOW).answer))
        world.remove("web", ip, now=NOW)
    for _ in range(2):
        reply = world.ask("web.svc.local", now=NOW, edns=1232)
        assert set(data(reply.answer)) == {"10.0.2.1", "10.0.2.2"}
        ((code, text),) = explained(reply)
        assert code == OTHER
        assert "flapping" in text
        assert "web" in text
        assert ttls(reply) == {1}
        assert world.ask("web.svc.local", now=NOW).edns == -1
    world.drain("web", "10.0.2.1", now=NOW)
    assert data(world.ask("web.svc.local", now=NOW).answer) == ["10.0.2.2"]
    world.add("web", "10.0.0.1", now=NOW)
    reply = world.ask("web.svc.local", now=NOW, edns=1232)
    assert data(reply.answer) == ["10.0.0.1"]
    assert not explained(reply)


def test_a_flapping_one_whose_lease_has_run_out_is_no_answer() -> None:
    world = silent(healthy=[], suspects=[])
    flapping(world, "10.0.2.1", 0.0)
    assert data(world.ask("web.svc.local", now=LEASE - 0.5).answer) == ["10.0.2.1"]
    assert outcome(world.ask("web.svc.local", now=LEASE)) == "NODATA"


# -- out of answers

Act = Callable[[World, str], None]
OUT: dict[str, tuple[Act, Act]] = {
    "draining": (
        lambda world, ip: world.drain("web", ip, now=NOW),
        lambda world, ip: world.drain("web", ip, draining=False, now=NOW),
    ),
    "maintenance": (
        lambda world, ip: world.maintain("web", ip, seconds=60, now=NOW),
        lambda world, ip: world.end_maintenance("web", ip, now=NOW),
    ),
    "failing": (
        lambda world, ip: world.check("web", ip, failing="refused", now=NOW),
        lambda world, ip: world.check("web", ip, failing=None, now=NOW),
    ),
}


@pytest.mark.parametrize("word", OUT)
def test_what_is_taken_out_is_in_no_answer_at_once_and_back_at_once(word: str) -> None:
    out, back = OUT[word]
    world = World(ALIASES, hot=True)
    for ip in HEALTHY:
        world.add("web", ip, tags=["blue"], now=NOW)

    def answers(name: str) -> list[set[str]]:
        return [
            {text for text in data(world.ask(f"{name}.svc.local", now=NOW, edns=edns).answer) if text[0].isdigit()}
            for edns in (None, None, 1232)
        ]

    names = ["web", "blue.web", "alias", "p3001.web"]
    for number, ip in enumerate(HEALTHY, 1):
        out(world, ip)
        for name in names:
            assert answers(name) == [set(HEALTHY[number:])] * 3
    for _ in range(2):
        reply = world.ask("web.svc.local", now=NOW, edns=1232)
        assert outcome(reply) == "NODATA"
        assert [record.type for record in records(reply.authority)] == ["SOA"]
        assert [code for code, _ in explained(reply)] == [OTHER]
        assert f"0 of 3 healthy (3 {word})" in explained(reply)[0][1]
    for number, ip in enumerate(HEALTHY, 1):
        back(world, ip)
        for name in names:
            assert answers(name) == [set(HEALTHY[:number])] * 3


@pytest.mark.parametrize("word", OUT)
def test_a_suspect_that_is_taken_out_is_no_answer_any_more(world: World, word: str) -> None:
    out, _ = OUT[word]
    world.ask("web.svc.local", now=NOW)
    for number, ip in enumerate(SUSPECT, 1):
        out(world, ip)
        assert set(data(world.ask("web.svc.local", now=NOW).answer)) == {*HEALTHY, *SUSPECT[number:]}
    assert not explained(world.ask("web.svc.local", now=NOW, edns=1232))


def test_a_window_of_the_service_takes_all_of_it_and_ends_by_itself(world: World) -> None:
    world.maintain("web", seconds=5, now=NOW)
    for _ in range(2):
        assert outcome(world.ask("web.svc.local", now=NOW + 4)) == "NODATA"
    world.add("web", "10.0.0.9", now=NOW + 4)
    assert outcome(world.ask("web.svc.local", now=NOW + 4)) == "NODATA"
    world.settle(NOW + 5)
    assert {*HEALTHY, "10.0.0.9"} <= set(data(world.ask("web.svc.local", now=NOW + 5).answer))


def test_nodata_counts_what_there_is() -> None:
    world = World()
    for ip in (*HEALTHY, *SUSPECT):
        world.add("web", ip, ttl=1 if ip == SUSPECT[3] else 100)
    world.drain("web", HEALTHY[0])
    world.drain("web", HEALTHY[1])
    world.check("web", SUSPECT[0], failing="no")
    world.maintain("web", SUSPECT[1], seconds=60)
    world.remove("web", HEALTHY[2])
    world.remove("web", SUSPECT[2])
    ((code, text),) = explained(world.ask("web.svc.local", now=3.0, edns=1232))
    assert code == OTHER
    assert text.startswith("web is known, 0 of 5 healthy (")
    assert {"2 draining", "1 failing", "1 maintenance"} <= set(text.partition("(")[2].partition(")")[0].split(", "))
    assert text.endswith("the last since 00:00:01Z: its lease ran out: no heartbeat for 1 s")


@pytest.mark.parametrize("name", ["blue.web", "p3001.web", "_http._tcp.web"])
def test_what_is_said_of_some_instances_names_them_and_not_the_whole_service(name: str) -> None:
    world = World()
    world.add("web", "10.0.0.1", 3001, tags=["blue"], ports={"http": 80})
    world.add("web", "10.0.0.2", 3002)
    world.drain("web", "10.0.0.1")
    ((_, text),) = explained(world.ask(f"{name}.svc.local", "SRV", now=3.0, edns=1232))
    assert text.startswith(f"{name} is known, 0 of 1 healthy (1 draining), ")


# -- the lists: reverse names and DNS-SD


def pointers(world: World, name: str, now: float = NOW) -> list[str]:
    return data(world.ask(name, "PTR", now=now, udp=False).answer)


def test_a_reverse_name_lists_healthy_ones_and_suspects_and_nobody_else() -> None:
    world = World(lease=LEASE, brake_percent=30, damping=Damping(3, 60))
    for port in range(1, 9):
        world.add("web", "10.0.0.1", port)
    world.drain("web", "10.0.0.1", 5)
    world.maintain("web", "10.0.0.1", 6, seconds=60)
    world.check("web", "10.0.0.1", 7, failing="no")
    for failing in ("no", None) * 2:
        world.check("web", "10.0.0.1", 8, failing=failing)
    for port in (1, 5, 6, 7, 8):
        world.beat("web", "10.0.0.1", port, now=NOW - 1)
    world.settle(NOW)
    at = "1.0.0.10.in-addr.arpa"
    assert set(pointers(world, at)) == {f"ip-10-0-0-1-p{port}.web.svc.local." for port in (1, 2, 3, 4)}
    for port in (1, 2, 3, 4):
        world.remove("web", "10.0.0.1", port, now=NOW)
    assert pointers(world, at) == ["ip-10-0-0-1-p8.web.svc.local."], "nothing better is left"
    world.remove("web", "10.0.0.1", 8, now=NOW)
    assert outcome(world.ask(at, "PTR", now=NOW)) == "NODATA"


def test_dns_sd_lists_the_types_of_those_that_are_served() -> None:
    world = silent(healthy=[])
    world.add("api", "10.0.3.1", now=NOW)
    world.add("dns", "10.0.3.2", protocol="udp", now=NOW)
    types = "_services._dns-sd._udp.svc.local"
    assert set(pointers(world, types)) == {"_web._tcp.svc.local.", "_api._tcp.svc.local.", "_dns._udp.svc.local."}
    world.drain("api", "10.0.3.1", now=NOW)
    world.maintain("dns", seconds=60, now=NOW)
    assert pointers(world, types) == ["_web._tcp.svc.local."]


def test_dns_sd_lists_the_healthy_instances_in_front(world: World) -> None:
    listed = pointers(world, "_web._tcp.svc.local")
    order = [text.split("-p")[0][3:].replace("-", ".") for text in listed]
    assert set(order[:3]) == set(HEALTHY)
    assert set(order[3:]) == set(SUSPECT)
    world.drain("web", HEALTHY[0], now=NOW)
    assert len(pointers(world, "_web._tcp.svc.local")) == 6
