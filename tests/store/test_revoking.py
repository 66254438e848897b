"""Tokens that no node takes any more: revoked once, forgotten when somebody asks for it, never too many."""

from __future__ import annotations

import pytest

from discovery.core import codec
from discovery.core.caller import Caller, Grants
from discovery.core.event import Commit
from discovery.core.kinds import Revocation, TokenEvent
from discovery.store import operations
from discovery.store.errors import NotRevoked, TooManyRevoked
from discovery.store.operations import RestoreToken, RevokeToken
from discovery.store.registry import Registry
from tests.store.making import START, WALL, a_registry

SHA256 = bytes(range(32))
BOSS = Caller("10.9.9.9", "boss", Grants(admin=True))


def revoke(
    registry: Registry, sha256: bytes = SHA256, name: str = "deploy", expires: float | None = None
) -> Revocation:
    return registry.carry_out(RevokeToken(sha256, name, expires, "asked"), START, WALL, BOSS)


def test_a_revoked_token_is_known_with_who_asked_and_the_index_moves() -> None:
    registry = a_registry()
    before = registry.index
    assert revoke(registry, expires=WALL + 60) == Revocation("deploy", WALL, "boss at 10.9.9.9", WALL + 60)
    assert registry.revoked == {SHA256: Revocation("deploy", WALL, "boss at 10.9.9.9", WALL + 60)}
    assert registry.index == before + 1


def test_to_revoke_it_again_changes_nothing() -> None:
    registry = a_registry()
    first = revoke(registry)
    index = registry.index
    assert revoke(registry, name="other") == first
    assert registry.index == index


def test_it_is_forgotten_when_somebody_asks_for_it_and_not_twice() -> None:
    registry = a_registry()
    revoke(registry)
    registry.carry_out(RestoreToken(SHA256, "asked"), START, WALL, BOSS)
    assert registry.revoked == {}
    with pytest.raises(NotRevoked, match=SHA256.hex()):
        registry.carry_out(RestoreToken(SHA256, "asked"), START, WALL, BOSS)


def test_there_are_never_too_many_and_one_that_has_expired_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "MAX_REVOKED", 3)
    registry = a_registry()
    digests = [bytes([number]) * 32 for number in range(5)]
    revoke(registry, digests[0])
    revoke(registry, digests[1], expires=WALL - 1)
    revoke(registry, digests[2], expires=WALL + 1)
    revoke(registry, digests[3])
    assert list(registry.revoked) == [digests[0], digests[2], digests[3]]
    with pytest.raises(TooManyRevoked, match="3 tokens are revoked"):
        revoke(registry, digests[4])
    assert list(registry.revoked) == [digests[0], digests[2], digests[3]]
    assert revoke(registry, digests[0]), "one that is revoked already takes no room"


def test_it_goes_with_the_state() -> None:
    registry, other = a_registry(), a_registry()
    revoke(registry)
    other.load(registry.snapshot(START, WALL), START, WALL)
    assert other.revoked == registry.revoked


def test_its_event_is_read_as_it_was_written() -> None:
    for event in (
        TokenEvent(SHA256, None, Revocation("deploy", WALL, "boss", WALL + 1), "asked"),
        TokenEvent(SHA256, Revocation("", WALL, "boss"), None, "asked"),
    ):
        commit = Commit(7, WALL, Caller("10.9.9.9", "boss"), "revoke-token", (event,))
        assert codec.commit_of(codec.of_commit(commit)) == commit
