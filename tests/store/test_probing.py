"""The brake asks before it believes: who may be asked, whose turn it is, and what the answers make of suspects."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.core.caller import Caller
from discovery.core.event import Kind
from discovery.core.instance import Instance
from discovery.core.lease import Lease, Term
from discovery.core.network import Networks
from discovery.core.status import Probed, Status
from discovery.store.explain import accounts
from discovery.store.probing import AGAIN, Answers, AskQueue, Probe, Silence, may_be_asked
from discovery.store.service import Entry
from tests.driven import DrivenRegistry
from tests.store.making import ALL, INTERVAL, START, TTL, WALL, Log, braked, crowd, ports, spec, status_of, words

OUT = START + TTL
EVERYWHERE = Networks(())


def suspects(silent: int = 4, instances: int = 10) -> DrivenRegistry:
    """Of so many the first ones are held: their leases ran out at OUT."""
    registry = braked()
    entries = crowd(registry, instances)
    for entry in entries[silent:]:
        registry.renew(entry.instance.id, OUT - 1)
    registry.advance(OUT, ALL)
    return registry


def answer(registry: DrivenRegistry, answers: dict[int, Probed | None], now: float = OUT + 0.5) -> None:
    """By port."""
    service = registry.service("web")
    assert service is not None
    of = {entry.instance.spec.port: entry.instance.id for entry in service.entries.values()}
    registry.do(Probe("web", tuple((of[port], answer) for port, answer in answers.items())), now)


# -- what the answers come to


def test_whose_port_refuses_is_out_at_once_and_removed_by_the_cleanup() -> None:
    registry = suspects()
    answer(registry, {1: Probed.REFUSED, 3: Probed.REFUSED})
    assert words(registry).split()[:4] == ["unhealthy", "suspect", "unhealthy", "suspect"]
    assert ports(registry, OUT + 0.5) == [5, 6, 7, 8, 9, 10, 2, 4]
    registry.advance(OUT + 0.5 + 2 * INTERVAL, ALL)
    assert words(registry).split()[:2] == ["suspect", "suspect"]


def test_whose_port_accepts_is_the_first_of_the_suspects_and_held_no_longer() -> None:
    registry = suspects()
    answer(registry, {3: Probed.ACCEPTED})
    assert ports(registry, OUT + 1) == [5, 6, 7, 8, 9, 10, 3, 1, 2, 4]
    answer(registry, {3: None, 2: Probed.ACCEPTED})
    assert ports(registry, OUT + 1)[6:] == [2, 1, 3, 4]


def test_whose_ports_accept_are_let_go_as_ever() -> None:
    registry = suspects(4, 4)
    answer(registry, dict.fromkeys((1, 2, 3, 4), Probed.ACCEPTED))
    registry.advance(OUT + 20 - 0.1, ALL)
    assert words(registry) == "suspect suspect suspect suspect"
    for rounds in range(4):
        registry.advance(OUT + 21 + rounds * INTERVAL, ALL)
    assert "suspect" not in words(registry)


def test_no_answer_changes_nothing_and_the_same_answer_is_told_once() -> None:
    registry = suspects()
    log = Log.of(registry)
    answer(registry, {1: None, 2: None})
    assert log.take() == []
    answer(registry, {1: Probed.ACCEPTED})
    answer(registry, {1: Probed.ACCEPTED})
    [told] = log.take()
    assert (told.kind, "port" in told.reason) == (Kind.UPDATED, False), "who may read events may not know of ports"


def test_who_beats_while_it_is_asked_stays_and_forgets_the_answer() -> None:
    registry = suspects()
    answer(registry, {1: Probed.ACCEPTED})
    entry = registry.renew(registry.at("auto-200").instance.id, OUT + 1)
    assert entry.instance.spec.port == 1
    answer(registry, {1: Probed.REFUSED}, OUT + 1.5)
    assert (entry.status, entry.instance.probed) == (Status.HEALTHY, None)


def test_who_is_held_before_its_lease_is_over_is_believed_until_then() -> None:
    registry = braked()
    last = crowd(registry, 4)[-1]
    registry.renew(last.instance.id, START + 4)
    registry.advance(OUT, ALL)
    assert words(registry) == "suspect suspect suspect suspect"
    answer(registry, {4: Probed.REFUSED}, START + 13.9)
    assert last.status is Status.SUSPECT
    answer(registry, {4: Probed.REFUSED}, START + 14)
    assert status_of(last) is Status.UNHEALTHY


def test_those_that_refused_are_no_reason_to_hold_the_next_and_are_not_held_again() -> None:
    registry = suspects(3, 4)
    answer(registry, dict.fromkeys((1, 2, 3), Probed.REFUSED))
    assert ports(registry, OUT + 0.5) == [4]
    registry.advance(OUT - 1 + TTL, ALL)  # the fourth falls silent, too
    assert words(registry).count("suspect") == 0


def test_what_a_port_said_is_explained_to_those_alone_who_may_see_who_did_what() -> None:
    registry = suspects()
    answer(registry, {1: Probed.REFUSED, 2: Probed.ACCEPTED})
    service = registry.service("web")
    assert service is not None
    said = []
    for sees_names in (False, True):
        found = accounts(registry, service, service.entries.values(), OUT + 1, sees_names)
        said.append([each.why.partition("; ")[2] for each in found][:3])
    told = [f"its port {answer} a connection when the brake asked" for answer in ("refused", "accepted")]
    assert said == [["", "", ""], [*told, ""]]


# -- whom to ask


def entry(ip: str = "10.0.0.7", by: Caller = Caller("10.0.0.7"), beaten: float = 20.0, **fields: Any) -> Entry:  # noqa: B008
    instance = Instance("id", WALL, spec("web", ip, **fields), registrant=by)
    return Entry(instance, Lease(Term(TTL), START + beaten))


def asks(found: Entry, networks: Networks = EVERYWHERE, alone: bool = True) -> bool:
    now = found.lease.expires_at
    return may_be_asked(found, now, WALL + now - START, networks, alone)


LOOPBACK, TOKEN = Caller("127.0.0.1"), Caller("10.9.9.9", "ci")


@pytest.mark.parametrize(
    ("found", "may"),
    [
        (entry(), True),
        (entry(by=Caller("")), False),
        (entry(by=Caller("10.0.0.8")), False),
        (entry(by=TOKEN), True),
        (entry(beaten=19.9), False),
        (entry(protocol="udp"), False),
        (entry(protocol=["tcp", "udp"]), True),
        (entry("169.254.169.254", TOKEN), False),
        (entry("fe80::1", TOKEN), False),
        (entry("127.0.0.2", TOKEN), False),
        (entry("127.0.0.2", LOOPBACK), False),  # not its own address
        (entry("127.0.0.1", LOOPBACK), True),
        (entry("127.0.0.2", Caller("127.0.0.1", "ci")), True),
        (entry("::1", Caller("127.0.0.1", "ci")), True),
    ],
)
def test_asked_is_who_was_vouched_for_and_has_beaten_for_a_lease_and_ten_seconds(found: Entry, may: bool) -> None:
    assert asks(found) is may


def test_loopback_is_another_host_to_each_of_several_nodes() -> None:
    assert not asks(entry("127.0.0.1", LOOPBACK), alone=False)


def test_networks_are_the_only_ones_where_they_are_given() -> None:
    networks = Networks(map(ip_network, ("10.0.0.0/16", "fd00::/8", "169.254.0.0/16")))
    found = [
        asks(entry(ip, TOKEN), networks) for ip in ("10.0.0.7", "10.1.0.7", "fd00::7", "2001:db8::7", "169.254.1.1")
    ]
    assert found == [True, False, True, False, False], "link-local is never asked"


# -- whose turn it is


def drained(queue: AskQueue, now: float) -> list[str]:
    found = []
    while (id := queue.next(now)) is not None:
        found.append(id)
    return found


def test_first_asks_come_before_repeats_and_every_service_has_its_turn() -> None:
    queue = AskQueue()
    queue.put("again", 1.0, None)
    for number in range(6):
        queue.put(f"big-{number}", 2.0 - number / 10, "big")
    queue.put("small", 2.5, "small")
    queue.put("later", 9.0, "small")
    assert drained(queue, 3.0) == ["big-5", "big-4", "big-3", "big-2", "small", "big-1", "big-0", "again"]
    assert (len(queue), queue.next_at) == (1, 9.0)


PUT = st.tuples(st.just("put"), st.integers(0, 9), st.floats(0, 20), st.sampled_from(["a", "b", None]))
STEPS = st.one_of(PUT, st.tuples(st.just("drop"), st.integers(0, 9)), st.tuples(st.just("next"), st.floats(0, 20)))


@given(st.lists(STEPS))
def test_everybody_who_waits_is_given_once_when_it_is_time(steps: list[tuple[object, ...]]) -> None:
    queue, waiting = AskQueue(), dict[str, float]()
    for kind, *rest in steps:
        if kind == "put":
            number, at, service = rest
            assert isinstance(at, float)
            queue.put(str(number), at, service if isinstance(service, str) else None)
            waiting[str(number)] = at
        elif kind == "drop":
            queue.drop(str(rest[0]))
            waiting.pop(str(rest[0]), None)
        else:
            [now] = rest
            assert isinstance(now, float)
            if (id := queue.next(now)) is not None:
                assert waiting.pop(id) <= max(now, 20.0)
        assert len(queue) == len(waiting)
        assert queue.next_at <= min(waiting.values(), default=queue.next_at)
    assert sorted(drained(queue, 20.0)) == sorted(waiting)
    assert not len(queue)


# -- a firewall that answers


@pytest.mark.parametrize(
    ("silent", "instances", "hosts", "wide"),
    [(20, 100, 3, True), (20, 101, 3, False), (19, 40, 3, False), (20, 20, 2, False), (200, 1000, 5, True)],
)
def test_a_fifth_twenty_at_least_on_three_hosts_is_a_firewalls(
    silent: int, instances: int, hosts: int, wide: bool
) -> None:
    registry = braked(others=0, max_instances=10_000)
    for number in range(instances):
        of = registry.register(spec("web", f"10.0.0.{number % hosts}", 1 + number), START, WALL)
        if number >= silent:
            registry.renew(of.instance.id, START + 8)
    found = Silence()
    for part in registry.in_parts(7):
        found.count(part, START + 8)  # before any lease is over: a beat is missing
    assert (found.silent, found.instances, found.is_wide()) == (silent, instances, wide)


def test_nine_of_ten_answers_of_late_have_to_be_refusals() -> None:
    answers = Answers()
    for number in range(10):
        answers.note(START, number > 0)
    assert answers.all_refuse()
    answers.note(START + 1, False)
    assert not answers.all_refuse()
    answers.note(START + 2 * AGAIN, True)
    assert not answers.all_refuse()
    answers.note(START + 2 * AGAIN + 1, True)
    assert answers.all_refuse()
