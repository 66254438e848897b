"""Revokes a token on every node, whatever their files say, and takes that back. Who holds tokens asks `State.revoked` at each request."""

from __future__ import annotations

from dataclasses import dataclass

from discovery.core.kinds import Revocation, TokenEvent
from discovery.store.errors import NotRevoked, TooManyRevoked
from discovery.store.transaction import Transaction
from discovery.store.write import Write

# As many as two files of tokens have. GET /admin/tokens lists them all, 5 µs each.
MAX_REVOKED = 2_000


@dataclass(frozen=True)
class RevokeToken(Write[Revocation]):
    """`sha256`: 32 octets, of its secret. One that is revoked already stays as it is. TooManyRevoked, unless the token of one has expired
    by itself: the oldest of those makes room.
    """

    sha256: bytes
    name: str
    expires: float | None
    reason: str
    action = "revoke-token"

    def decide(self, txn: Transaction) -> Revocation:
        txn.authorize(None)
        if (found := txn.value(TokenEvent, self.sha256)) is not None:
            return found
        if len(txn.all(TokenEvent)) >= MAX_REVOKED:
            txn.add(_oldest_expired(txn))
        revoked = Revocation(self.name, txn.wall, str(txn.by), self.expires)
        txn.add(TokenEvent(self.sha256, None, revoked, self.reason))
        return revoked


@dataclass(frozen=True)
class RestoreToken(Write[Revocation]):
    """Forgets that it was revoked: who has it in a file takes it again. NotRevoked."""

    sha256: bytes
    reason: str
    action = "restore-token"

    def decide(self, txn: Transaction) -> Revocation:
        txn.authorize(None)
        found = txn.value(TokenEvent, self.sha256)
        if found is None:
            raise NotRevoked(self.sha256.hex())
        txn.add(TokenEvent(self.sha256, found, None, self.reason))
        return found


def _oldest_expired(txn: Transaction) -> TokenEvent:
    over = [each for each in txn.all(TokenEvent).items() if each[1].expires is not None and each[1].expires <= txn.wall]
    if not over:
        raise TooManyRevoked(MAX_REVOKED)
    sha256, revoked = min(over, key=lambda each: each[1].at)
    return TokenEvent(sha256, revoked, None, "it has expired by itself, and room is needed")
