"""Which nodes are silent, and for how long that is held against nobody."""

from __future__ import annotations

import pytest

from discovery.engines.etcd.peers import Peers

FLUSH, HOLD, WINDOW = 1.0, 60.0, 12.0


@pytest.fixture
def peers() -> Peers:
    found = Peers(FLUSH, HOLD, WINDOW)
    found.begin(0.0)
    return found


def test_a_node_that_sends_its_batches_is_not_silent(peers: Peers) -> None:
    for second in range(100):
        status = peers.heard("a", float(second))
        assert peers.look(second + 0.5) == []
        assert not status.silent


def test_a_node_is_silent_when_three_batches_are_missing(peers: Peers) -> None:
    status = peers.heard("a", 0.0)
    assert peers.look(3.0) == []
    assert peers.look(3.1) == [status]
    assert status.silent
    assert peers.look(3.2) == [], "once"


def test_a_node_that_is_back_is_doubted_for_a_whole_window_more(peers: Peers) -> None:
    status = peers.heard("a", 0.0)
    peers.look(10.0)
    assert peers.heard("a", 10.0) is status
    for second in range(10, 22):
        peers.heard("a", float(second))
        assert peers.look(second + 0.5) == []
        assert status.silent
    peers.heard("a", 22.0)
    assert peers.look(22.0) == [status]
    assert not status.silent


def test_nobody_is_held_for_longer_than_hold_and_the_node_is_forgotten(peers: Peers) -> None:
    status = peers.heard("a", 0.0)
    assert peers.look(30.0) == [status]
    assert peers.look(60.0) == []
    assert peers.look(60.1) == [status]
    assert not status.silent
    assert peers.shown(61.0) == []


def test_a_node_that_flickers_is_held_from_its_latest_silence_on(peers: Peers) -> None:
    status = peers.heard("a", 0.0)
    peers.look(10.0)
    peers.heard("a", 10.0)
    peers.look(14.0)
    assert status.silent
    assert peers.look(69.0) == []
    assert peers.look(70.1) == [status]
    assert not status.silent


def test_a_node_that_says_goodbye_is_not_waited_for(peers: Peers) -> None:
    status = peers.heard("a", 0.0)
    assert not peers.goodbye("a")
    assert peers.look(100.0) == []
    assert not status.silent
    silent = peers.heard("b", 100.0)
    peers.look(110.0)
    assert peers.goodbye("b")
    assert not silent.silent


def test_no_hold_is_none(peers: Peers) -> None:
    peers.hold = 0.0
    status = peers.heard("a", 0.0)
    peers.look(10.0)
    assert not status.silent


def test_nobody_is_silent_before_this_node_hears_itself_and_silence_counts_from_then() -> None:
    peers = Peers(FLUSH, HOLD, WINDOW)
    status = peers.heard("a", 0.0)
    assert peers.look(30.0) == []
    peers.begin(40.0)
    assert peers.look(43.0) == []
    assert peers.look(43.1) == [status]
    peers.begin(43.2)
    assert peers.look(43.3) == [], "it begins once"


def test_what_was_heard_nobody_knows_where_is_in_doubt_as_long_as_any_node_is_silent(peers: Peers) -> None:
    peers.heard("a", 0.0)
    peers.heard("b", 0.0)
    peers.look(2.0)
    seen = [peers.unknown.silent]
    peers.heard("b", 4.0)
    peers.look(4.0)
    seen.append(peers.unknown.silent)
    peers.goodbye("a")
    seen.append(peers.unknown.silent)
    peers.look(8.0)
    seen.append(peers.unknown.silent)
    peers.look(100.0)
    seen.append(peers.unknown.silent)
    assert seen == [False, True, False, True, False], "as long as one is: and at the end hold is over"


def test_what_is_shown_says_since_when_a_node_is_silent_and_for_how_long_it_holds(peers: Peers) -> None:
    def shown(now: float) -> tuple[object, object, object]:
        [node] = peers.shown(now)
        return node["silent"], node["silentForSeconds"], node["holdsForSeconds"]

    peers.heard("a", 0.0)
    assert shown(1.0) == (False, None, None)
    peers.look(10.0)
    assert shown(10.0) == (True, 10.0, 50.0)
    peers.heard("a", 20.0)
    peers.look(20.5)
    assert shown(21.0) == (True, 21.0, 11.0), "back: for a window more"
    assert peers.is_silent("a")
    assert peers.is_silent("nobody")
