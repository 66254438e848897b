"""Which nodes are silent, and for how long that is held against nobody."""

from __future__ import annotations

import pytest

from discovery.engines.etcd.peers import Peers

FLUSH, HOLD, WINDOW = 1.0, 60.0, 12.0


@pytest.fixture
def peers() -> Peers:
    return Peers(FLUSH, HOLD, WINDOW)


def test_a_node_that_sends_its_batches_is_not_silent(peers: Peers) -> None:
    for second in range(100):
        hearing = peers.heard("a", float(second))
        assert peers.look(second + 0.5) == []
        assert not hearing.silent


def test_a_node_is_silent_when_three_batches_are_missing(peers: Peers) -> None:
    hearing = peers.heard("a", 0.0)
    assert peers.look(3.0) == []
    assert peers.look(3.1) == [hearing]
    assert hearing.silent
    assert peers.look(3.2) == [], "once"


def test_a_node_that_is_back_is_doubted_for_a_whole_window_more(peers: Peers) -> None:
    hearing = peers.heard("a", 0.0)
    peers.look(10.0)
    assert peers.heard("a", 10.0) is hearing
    for second in range(10, 22):
        peers.heard("a", float(second))
        assert peers.look(second + 0.5) == []
        assert hearing.silent
    peers.heard("a", 22.0)
    assert peers.look(22.0) == [hearing]
    assert not hearing.silent


def test_nobody_is_held_for_longer_than_hold_and_the_node_is_forgotten(peers: Peers) -> None:
    hearing = peers.heard("a", 0.0)
    assert peers.look(30.0) == [hearing]
    assert peers.look(60.0) == []
    assert peers.look(60.1) == [hearing]
    assert not hearing.silent
    assert peers.shown(61.0) == []


def test_a_node_that_flickers_is_held_from_its_latest_silence_on(peers: Peers) -> None:
    hearing = peers.heard("a", 0.0)
    peers.look(10.0)
    peers.heard("a", 10.0)
    peers.look(14.0)
    assert hearing.silent
    assert peers.look(69.0) == []
    assert peers.look(70.1) == [hearing]
    assert not hearing.silent


def test_a_node_that_says_goodbye_is_not_waited_for(peers: Peers) -> None:
    hearing = peers.heard("a", 0.0)
    assert not peers.goodbye("a")
    assert peers.look(100.0) == []
    assert not hearing.silent
    silent = peers.heard("b", 100.0)
    peers.look(110.0)
    assert peers.goodbye("b")
    assert not silent.silent


def test_no_hold_is_none(peers: Peers) -> None:
    peers.hold = 0.0
    hearing = peers.heard("a", 0.0)
    peers.look(10.0)
    assert not hearing.silent
