"""What this node knows of the heartbeats at each node: who is silent, and which leases have surely ended."""

from __future__ import annotations

import pytest

from discovery.core.instance import Registration
from discovery.core.status import Status
from discovery.engines.etcd.peers import Peers
from discovery.store.service import Entry, NodeStatus
from tests.store.making import a_registry

FLUSH, TTL = 1.0, 12.0


@pytest.fixture
def peers() -> Peers:
    found = Peers("own", FLUSH)
    found.begin(0.0)
    return found


def heard_by(through: NodeStatus, at: float = 0.0) -> Entry:
    entry = a_registry(lease_ttl=TTL).register(Registration.of("web", "10.0.0.1", 80), at)
    entry.through = through
    return entry


def test_a_node_that_sends_its_batches_is_not_silent(peers: Peers) -> None:
    for second in range(100):
        status = peers.heard("a", float(second))
        assert peers.look(second + 0.5, fresh=True) == []
        assert not status.silent


def test_a_node_is_silent_when_three_batches_are_missing_and_until_the_next_one(peers: Peers) -> None:
    status = peers.heard("a", 0.0)
    assert peers.look(3.0, fresh=True) == []
    assert peers.look(3.1, fresh=True) == [status]
    assert status.silent
    assert peers.look(3.2, fresh=True) == [], "once"
    assert peers.heard("a", 10.0) is status
    assert peers.look(10.0, fresh=True) == [status]
    assert not status.silent


def test_the_instances_of_a_silent_node_are_suspects_for_however_long(peers: Peers) -> None:
    entry = heard_by(peers.heard("a", 0.0))
    peers.look(4.0, fresh=True)
    for now in (4.0, TTL, 1e6):
        assert entry.status_at(now) is Status.SUSPECT


def test_when_a_node_is_back_its_instances_are_healthy_while_their_lease_runs_and_gone_a_whole_lease_later(
    peers: Peers,
) -> None:
    status = peers.heard("a", 0.0)
    early, late = heard_by(status), heard_by(status, 20.0)
    peers.look(10.0, fresh=True)
    peers.heard("a", 30.0)
    peers.look(30.0, fresh=True)
    assert (early.status_at(30.0), late.status_at(30.0)) == (Status.SUSPECT, Status.HEALTHY)
    for second in range(31, 43):
        peers.heard("a", float(second))
    assert (early.status_at(41.9), early.status_at(42.0)) == (Status.SUSPECT, Status.UNHEALTHY)


@pytest.mark.parametrize("silent", [True, False])
def test_whose_node_is_gone_is_judged_by_the_lease(peers: Peers, silent: bool) -> None:
    status = peers.heard("a", 0.0)
    entry = heard_by(status)
    if silent:
        peers.look(10.0, fresh=True)
    assert peers.gone("a") is silent
    assert (entry.status_at(TTL - 0.1), entry.status_at(TTL)) == (Status.HEALTHY, Status.UNHEALTHY)
    assert peers.look(100.0, fresh=True) == []
    assert not peers.gone("a"), "it is known no more"


def test_a_node_whose_key_nobody_saw_end_is_gone_after_the_longest_lease(peers: Peers) -> None:
    status = peers.heard("a", 0.0)
    assert peers.look(3600.0, fresh=True) == [status]
    assert peers.look(4000.0, fresh=False) == []
    assert peers.look(4000.0, fresh=True) == [status]
    assert not status.silent
    assert peers.others == []


def test_to_a_node_that_does_not_hear_etcd_all_others_are_silent_whatever_came_late(peers: Peers) -> None:
    status = peers.heard("a", 10.0)
    assert peers.look(10.0, fresh=False) == [status]
    assert peers.heard("a", 11.0).silent
    assert peers.look(11.0, fresh=True) == [status]


def test_who_was_heard_here_is_healthy_while_the_lease_runs_and_a_suspect_until_etcd_is_heard(peers: Peers) -> None:
    entry = heard_by(peers.own)
    peers.heard_all(5.0)
    assert entry.status_at(TTL - 0.1) is Status.HEALTHY
    for now in (TTL, 1e6):
        assert entry.status_at(now) is Status.SUSPECT
    peers.heard_all(1e6)
    assert entry.status_at(1e6) is Status.UNHEALTHY


def test_where_batches_may_be_lost_only_a_whole_lease_proves_silence(peers: Peers) -> None:
    own, other, unknown = heard_by(peers.own), heard_by(peers.heard("a", 0.0)), heard_by(peers.unknown)
    peers.missed(10.0)
    for now in (*map(float, range(12, 22)), 21.9, 22.0):
        peers.heard_all(now)
        peers.heard("a", now)
        peers.heard_all(now)
        expected = Status.SUSPECT if now < 22 else Status.UNHEALTHY
        assert {entry.status_at(now) for entry in (own, other, unknown)} == {expected}


def test_a_batch_that_is_late_lets_no_lease_end_before_the_node_counts_as_silent(peers: Peers) -> None:
    entry = heard_by(peers.heard("a", 10.0))
    peers.heard_all(12.0)
    assert entry.status_at(TTL) is Status.SUSPECT, "it may have been heard there since"
    peers.heard("a", 12.1)
    assert entry.status_at(12.1) is Status.UNHEALTHY


def test_of_batches_that_were_held_up_and_come_together_the_first_takes_nobody_out_whom_the_next_may_renew(
    peers: Peers,
) -> None:
    entry = heard_by(peers.heard("a", 10.0), 1.4)
    peers.heard_all(13.0)
    peers.heard("a", 13.9)  # what was sent at 11
    assert entry.status_at(13.9) is Status.SUSPECT
    peers.heard("a", 13.9)  # and at 12
    assert entry.status_at(13.9) is Status.UNHEALTHY


def test_what_a_node_writes_tells_that_it_is_not_silent_and_of_no_heartbeat(peers: Peers) -> None:
    status = peers.heard("a", 10.0)
    entry = heard_by(status)
    peers.heard_all(13.5)
    assert peers.wrote("a", 13.5) is status
    assert peers.look(14.0, fresh=True) == []
    assert entry.status_at(12.0) is Status.SUSPECT
    peers.heard("a", 14.0)
    assert entry.status_at(12.0) is Status.UNHEALTHY


def test_nobody_is_silent_before_this_node_has_read_all_and_silence_counts_from_then() -> None:
    peers = Peers("own", FLUSH)
    status = peers.heard("a", 0.0)
    assert peers.look(30.0, fresh=False) == []
    peers.begin(40.0)
    assert peers.look(42.9, fresh=False) == [], "its own batches have had no time to come back"
    assert peers.look(43.1, fresh=False) == [status]


def test_what_was_heard_nobody_knows_where_is_suspect_as_long_as_any_node_is_silent(peers: Peers) -> None:
    peers.heard("a", 0.0)
    peers.heard("b", 0.0)
    seen = []
    for now, heard, gone in ((2.0, "", ""), (4.0, "b", ""), (4.0, "", "a"), (8.0, "", ""), (9.0, "", "b")):
        if heard:
            peers.heard(heard, now)
        if gone:
            peers.gone(gone)
        peers.look(now, fresh=True)
        seen.append(peers.unknown.silent)
    assert seen == [False, True, False, True, False]


def test_what_is_shown_says_since_when_a_node_is_silent(peers: Peers) -> None:
    def shown(now: float) -> tuple[object, object]:
        [node] = peers.shown(now)
        return node["silent"], node["silentForSeconds"]

    peers.heard("a", 0.0)
    assert shown(1.0) == (False, None)
    peers.look(10.0, fresh=True)
    assert shown(10.0) == (True, 10.0)
    assert peers.is_silent("a")
    assert peers.is_silent("nobody")
    peers.heard("a", 20.0)
    peers.look(20.5, fresh=True)
    assert shown(21.0) == (False, None)
