"""The hot path's work, counted: what is looked up and packed, what a change drops, what is kept, and when nothing may be."""

from __future__ import annotations

import gc
import tracemalloc
from random import Random
from typing import Any
from weakref import WeakSet

import dns.edns
import pytest

from discovery.core.event import Commit
from discovery.dns.message import wire
from discovery.dns.server import kept_answers as hot
from discovery.dns.server import nxdomain_cache, responder
from discovery.store.registry import Registry
from discovery.store.service import NodeStatus, Service
from tests.dns.world import World, data, load, make_query, outcome, records


class Packed:
    """`made`: templates so far; `alive`: those that somebody still holds."""

    def __init__(self) -> None:
        self.made = 0
        self.alive: WeakSet[wire.Template] = WeakSet()


@pytest.fixture(name="packed")
def _packed(monkeypatch: pytest.MonkeyPatch) -> Packed:
    packed = Packed()

    class Counted(wire.Template):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            packed.made += 1
            packed.alive.add(self)

    monkeypatch.setattr(responder, "Template", Counted)
    return packed


def world_of(*services: str, records: str = "", **settings: Any) -> World:
    world = World(records, hot=True, **settings)
    for service in services:
        world.add(service, "10.0.0.1", tags=["blue"])
        world.add(service, "10.0.0.2")
    return world


EIGHT = 8 * (hot._OBJECTS + 2 * 16)  # octets that eight answers of one address take
COOKIE = dns.edns.CookieOption(b"8 octets", b"")
SHAPES: list[dict[str, Any]] = [
    {},
    {"edns": 512},
    {"edns": 4096, "want_dnssec": True},
    {"edns": 1232, "options": [COOKIE]},
    {"edns": 1232, "options": [dns.edns.CookieOption(b"9 octets", b"x" * 16)]},
    {"udp": False},
    {"udp": False, "edns": 0},
]


@pytest.mark.parametrize("rtype", ["A", "TYPE127", "URI", "TYPE257", "TYPE65280"])
def test_an_unknown_name_is_not_looked_up_whatever_records_are_asked_for(rtype: str) -> None:
    world = world_of("web")
    assert outcome(world.ask("nope.svc.local", rtype, edns=1232)) == "NXDOMAIN"
    assert world.asked == 0


def test_types_that_a_stranger_asks_unknown_names_for_are_remembered_up_to_a_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nxdomain_cache, "_MAX_KNOWN", 3)
    world = world_of("web")
    for rtype in range(1000, 1010):
        assert outcome(world.ask("nope.svc.local", f"TYPE{rtype}")) == "NXDOMAIN"
    assert isinstance(world.responder, hot.KeptAnswers)
    assert len(world.responder._nxdomain._known) <= 3


@pytest.mark.parametrize("rtype", ["A", "SRV", "TXT", "HTTPS"])
def test_what_was_answered_once_is_neither_looked_up_nor_packed_again(packed: Packed, rtype: str) -> None:
    world = World(hot=True)
    world.add("web", "10.0.0.1", metadata={"scheme": "https"})
    world.ask("web.svc.local", rtype)
    for shape in SHAPES * 3:
        for name in ("web.svc.local", "WEB.svc.local", "wEb.SVC.LocaL"):
            assert outcome(world.ask(name, rtype, **shape)) == "ANSWER"
    assert world.asked == packed.made == 1


@pytest.mark.parametrize("name", ["blue.web", "p3001.web", "_web._tcp", "ip-10-0-0-1-p3001.web", "web.default"])
def test_every_form_of_name_is_kept(name: str) -> None:
    world = world_of("web")
    for _ in range(5):
        assert outcome(world.ask(f"{name}.svc.local", "SRV")) == "ANSWER"
    assert world.asked == 1


def test_another_type_about_a_name_is_looked_up_only_once_something_may_have_changed() -> None:
    world = World(hot=True, lease=10.0)
    world.add("web", "10.0.0.1")
    world.add("web", "2001:db8::1", ttl=2)
    assert len(world.ask("web.svc.local", "A").answer) == 1, (
        "it is not about all, and ends with another lease than theirs"
    )
    assert len(world.ask("web.svc.local", "SRV", now=1.5).answer) == 2
    assert world.asked == 2
    assert outcome(world.ask("web.svc.local", "AAAA", now=1.5)) == "ANSWER"
    assert world.asked == 2
    assert len(world.ask("web.svc.local", "TXT", now=2.0).answer) == 1, "nobody has told of the lease that is over"
    assert outcome(world.ask("web.svc.local", "AAAA", now=2.0)) == "NODATA"
    assert world.asked == 3
    world.add("web", "2001:db8::2", now=2.0)
    assert data(world.ask("web.svc.local", "AAAA", now=2.0).answer) == ["2001:db8::2"]


def test_nodata_of_a_healthy_service_is_kept_until_the_serial_moves() -> None:
    world = world_of("web", "api")
    for _ in range(5):
        assert outcome(world.ask("web.svc.local", "AAAA")) == "NODATA"
    assert world.asked == 1
    world.add("api", "10.0.0.7")
    (soa,) = records(world.ask("web.svc.local", "AAAA").authority)
    assert soa.data.split()[2] == str(world.registry.index)


def test_of_many_changes_that_become_one_index_answers_have_each_and_the_serial_moves_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = world_of("web")
    serial = world.registry.index

    def soa() -> str:
        (found,) = records(world.ask("web.svc.local", "AAAA").authority)
        return str(found.data.split()[2])

    with monkeypatch.context() as pieces:
        pieces.setattr(world.registry, "publish", lambda index: None)
        for number in range(5, 8):
            world.add("web", f"10.0.0.{number}")
            assert f"10.0.0.{number}" in data(world.ask("web.svc.local").answer)
            assert soa() == str(serial)
    world.registry.publish(serial + 1)
    assert soa() == str(serial + 1)


def test_a_heartbeat_drops_nothing_and_tells_nobody(packed: Packed) -> None:
    world = world_of("web", lease=10.0, ttl=5)
    world.ask("web.svc.local")
    commits: list[Commit] = []
    world.registry.followers.append(commits.append)
    for eighth in range(1, 800):
        now = eighth / 8
        for entry in world.registry:
            world.registry.renew(entry.instance.spec.key, now)
        assert records(world.ask("web.svc.local", now=now).answer)[0].ttl == 5
    assert not commits
    assert packed.made == 1


def test_without_heartbeats_it_is_made_anew_once_a_ttl() -> None:
    """The TTL goes 3, 2, 1, 0, and at the very end of the lease there is no answer."""
    world = world_of("web", lease=4.0, ttl=3)
    for eighth in range(8 * 4):
        now = eighth / 8
        ttls = {record.ttl for record in records(world.ask("web.svc.local", now=now).answer)}
        assert ttls == {min(3, int(4 - now))}
    assert world.asked <= 4 + 4, "the three steps, and the instants of the steps themselves"
    assert outcome(world.ask("web.svc.local", now=4.0)) == "NODATA"
    assert not data(world.ask("web.svc.local", now=1e9).answer)


CHANGES = {
    "a new instance": lambda world: world.add("web", "10.0.0.3"),
    "other tags": lambda world: world.add("web", "10.0.0.1", tags=["green"]),
    "another weight": lambda world: world.add("web", "10.0.0.1", weight=7),
    "another ttl": lambda world: world.add("web", "10.0.0.1", ttl=3600),
    "an instance less": lambda world: world.remove("web", "10.0.0.1"),
    "the service gone": lambda world: world.registry.deregister_service("WEB", "test", 0.0),
    "spelt otherwise": lambda world: world.add("WEB", "10.0.0.4"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_drops_its_own_service_and_no_other(change: Any) -> None:
    world = world_of("web", "api", "webb")
    names = [f"{name}.svc.local" for name in ("web", "blue.web", "api", "blue.api", "webb")]
    for _ in range(2):
        for name in names:
            world.ask(name)
    change(world)
    asked = world.asked
    for name in names[2:]:
        world.ask(name)
    assert world.asked == asked
    for name in names[:2]:
        world.ask(name)
    assert world.asked > asked


def test_unhealthy_and_healthy_again_are_seen_whoever_notices_first() -> None:
    world = world_of("web", lease=4.0)
    world.add("web", "10.0.0.9", ttl=100)
    assert len(world.ask("web.svc.local").answer) == 3
    assert data(world.ask("web.svc.local", now=4.0).answer) == ["10.0.0.9"], "no reaper has come"
    for entry in list(world.registry)[:1]:
        world.registry.renew(entry.instance.id, 5.0)
    for _ in range(2):
        assert set(data(world.ask("web.svc.local", now=5.0).answer)) == {"10.0.0.1", "10.0.0.9"}


def test_a_suspect_that_nobody_decided_on_is_kept_for_a_moment_alone() -> None:
    """It becomes healthy, or is gone, and no commit says so."""
    world = world_of("web", lease=10.0, ttl=5)
    other = NodeStatus("other")
    other.until = 5.0  # nothing was heard of it since
    for entry in world.registry:
        entry.through = other
    first = world.ask("web.svc.local", now=20.0, edns=1232)
    assert "may beat at another node" in "".join(option.to_text() for option in first.options)
    assert [record.ttl for record in records(first.answer)] == [1, 1]
    asked = world.asked
    world.ask("web.svc.local", now=20.04, edns=1232)
    assert world.asked == asked, "kept meanwhile"
    other.until = 20.5
    assert outcome(world.ask("web.svc.local", now=20.51)) == "NODATA"
    other.until = 5.0
    world.ask("web.svc.local", now=22.0)
    for entry in world.registry:
        entry.lease.renewed_at = 22.5
    world.registry.staleness_changed("web")
    assert [record.ttl for record in records(world.ask("web.svc.local", now=22.5).answer)] == [5, 5]


def test_a_wildcards_answer_gives_way_to_a_service_of_that_name() -> None:
    """The alias leads to `web`, so the answer lives as long as `web` stays as it is, and no longer than `new` is nobody's."""
    world = world_of("web", records="* CNAME web\n")
    for _ in range(2):
        assert set(data(world.ask("new.svc.local").answer)) == {"web.svc.local.", "10.0.0.1", "10.0.0.2"}
    world.add("new", "10.0.0.9")
    assert data(world.ask("new.svc.local").answer) == ["10.0.0.9"]


def test_a_wildcards_answer_gives_way_to_a_tag_of_that_name() -> None:
    world = world_of("web", "api", records="*.web CNAME api\n")
    for _ in range(2):
        assert data(world.ask("green.web.svc.local").answer)[0] == "api.svc.local."
    world.add("web", "10.0.0.9", tags=["green"])
    assert data(world.ask("green.web.svc.local").answer) == ["10.0.0.9"]


def test_the_namespace_default_gives_way_to_a_service_of_that_name() -> None:
    """`web.default` is Kubernetes' spelling of `web` only while no service is called `default`."""
    world = world_of("web")
    for _ in range(2):
        assert len(world.ask("web.default.svc.local").answer) == 2
    world.add("default", "10.0.0.9")
    assert outcome(world.ask("web.default.svc.local")) == "NXDOMAIN"
    world.registry.deregister_service("default", "test", 0.0)
    assert len(world.ask("web.default.svc.local").answer) == 2


def test_zones_read_anew_drop_everything() -> None:
    world = world_of("web", records="alias CNAME web\n")
    for _ in range(2):
        assert data(world.ask("alias.svc.local").answer)[0] == "web.svc.local."
    world.reload(load({"svc.local": "alias A 192.0.2.9\n"})[0])
    assert data(world.ask("alias.svc.local").answer) == ["192.0.2.9"]
    assert outcome(world.ask("nope.svc.local")) == "NXDOMAIN"
    world.reload(load({"svc.local": "* A 192.0.2.8\n"})[0])
    assert data(world.ask("nope.svc.local").answer) == ["192.0.2.8"]


def test_while_the_table_is_filled_an_unknown_name_is_not_denied() -> None:
    world = world_of("web")
    world.registry.loaded = False
    assert outcome(world.ask("nope.svc.local")) == "SERVFAIL"
    world.registry.loaded = True
    assert outcome(world.ask("nope.svc.local")) == "NXDOMAIN"
    world.add("nope", "10.0.0.1")
    assert outcome(world.ask("nope.svc.local")) == "ANSWER"


def test_kept_templates_are_bounded_and_everything_still_answers(
    packed: Packed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hot, "MAX_OCTETS", EIGHT)
    world = World(hot=True)
    for number in range(50):
        world.add(f"s{number}", f"10.0.0.{number + 1}")
    random = Random(8)
    for _ in range(400):
        number = random.randrange(50)
        assert data(world.ask(f"s{number}.svc.local").answer) == [f"10.0.0.{number + 1}"]
        assert len(packed.alive) <= 8 + 1
    world.registry.deregister_service("s3", "test", 0.0)
    assert outcome(world.ask("s3.svc.local")) == "NXDOMAIN"


def test_a_few_names_too_many_asked_for_in_turn_are_nearly_all_answered_from_what_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The worst order for whoever drops the oldest, or all."""
    monkeypatch.setattr(hot, "MAX_OCTETS", 25 * EIGHT)
    world = World(hot=True)
    for number in range(210):
        world.add(f"s{number}", "10.0.0.1")
    for turn in range(6):
        if turn == 1:
            world.asked = 0
        for number in range(210):
            assert data(world.ask(f"s{number}.svc.local").answer) == ["10.0.0.1"]
    assert world.asked < 0.3 * 5 * 210


def test_one_service_has_a_share_of_what_is_kept(packed: Packed, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it is dropped in one go when the service changes."""
    monkeypatch.setattr(hot, "MAX_OF_SERVICE", 5)
    world = world_of("api")
    world.ask("api.svc.local")
    for number in range(50):
        world.add("web", "10.0.0.1", 4000 + number)
    for number in range(50):
        name = f"ip-10-0-0-1-p{4000 + number}.web.svc.local"
        assert data(world.ask(name).answer) == ["10.0.0.1"]
        assert len(packed.alive) <= 1 + 5 + 1
    world.asked = 0
    world.ask("api.svc.local")
    world.ask(name)
    assert not world.asked


def test_dropping_everything_frees_nothing_at_once_and_nothing_old_is_sent(packed: Packed) -> None:
    world = world_of("web", "api", records="alias CNAME web\n")
    for name in ("web", "api"):
        world.ask(f"{name}.svc.local")
    world.reload(load({"svc.local": "api2 A 192.0.2.9\n"})[0])
    assert len(packed.alive) == 2
    world.asked = 0
    for _ in range(2):
        for name in ("web", "api"):
            assert outcome(world.ask(f"{name}.svc.local")) == "ANSWER"
    assert world.asked == len(packed.alive) == 2


def test_names_that_nobody_has_leave_nothing_behind(packed: Packed) -> None:
    world = world_of("web")
    names = [f"{number:x}.svc.local" for number in range(2000)] + [f"{number:x}.web.svc.local" for number in range(500)]
    packets = [make_query(name, edns=edns).to_wire() for name in names for edns in (None, 1232)]

    def all_denied() -> bool:
        return all((world.send(packet, now=1.0) or b"")[3] & 0xF == 3 for packet in packets)

    assert all_denied()
    tracemalloc.start()
    try:
        assert all_denied()
        gc.collect()  # so that freed tuples, which the interpreter keeps for the next ones, are not counted
        grown = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert len(packed.alive) <= 1
    assert grown < 50_000, f"{grown} octets more"


def test_thousands_of_odd_types_about_one_name_leave_a_handful(packed: Packed) -> None:
    world = world_of("web")
    query = b"\0\1\1\0\0\1\0\0\0\0\0\0\3web\3svc\5local\0"
    for rtype in range(1, 2_000):
        world.send(query + rtype.to_bytes(2, "big") + b"\0\1")
    assert len(packed.alive) <= 10


def test_random_names_below_a_wildcard_leave_no_more_than_existing_names_do(packed: Packed) -> None:
    """They are as many as a stranger likes: what stands for them is not kept per name."""
    world = world_of("web", records="*.wild CNAME web\n")
    for number in range(500):
        assert len(world.ask(f"{number:x}.wild.svc.local").answer) == 3
    assert len(packed.alive) <= 50


def test_giant_answers_are_not_kept(packed: Packed) -> None:
    """A template is 1 to 2 KB: 600 instances' TXT or PTR are a hundred times that, and a name costs nothing to invent."""
    world = World(hot=True)
    for number in range(600):
        world.add("many", f"10.0.{number // 250}.{number % 250}", metadata={"number": number, "text": "x" * 200})
    for name, rtype in (("many", "A"), ("many", "SRV"), ("many", "TXT"), ("_many._tcp", "PTR")):
        for _ in range(2):
            world.ask(f"{name}.svc.local", rtype)
    assert not packed.alive


def test_a_heartbeat_costs_the_same_with_everything_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    world = world_of(*(f"s{number}" for number in range(50)))
    for number in range(50):
        world.ask(f"s{number}.svc.local")
    looked: list[str] = []
    service = Registry.service

    def counted(self: Registry, name: str) -> Service | None:
        looked.append(name)
        return service(self, name)

    monkeypatch.setattr(Registry, "service", counted)
    for entry in list(world.registry):
        world.registry.renew(entry.instance.spec.key, 1.0)
    for number in range(50):
        world.ask(f"s{number}.svc.local", now=1.0)
    assert not looked
