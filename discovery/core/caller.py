"""Who asks, and what they may do."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import lru_cache
from typing import NamedTuple


class Grants(NamedTuple):
    """`register`: patterns of folded service names (`user-*`) that may be registered, renewed, drained and deregistered."""

    register: tuple[str, ...] = ()
    read: bool = False
    admin: bool = False

    def may_write(self, service: str) -> bool:
        """`service`: a folded name."""
        return self.admin or _is_one_of(self.register, service)

    @property
    def may_read(self) -> bool:
        return self.admin or self.read


@lru_cache(maxsize=65536)
def _is_one_of(patterns: tuple[str, ...], service: str) -> bool:
    return any(fnmatchcase(service, pattern) for pattern in patterns)


class Caller(NamedTuple):
    """`address`: the client's. `name`: of the token that was shown, "" without one; `token`: the SHA-256 of its secret."""

    address: str
    name: str = ""
    grants: Grants = Grants()
    token: bytes = b""

    def __str__(self) -> str:
        return f"{self.name} at {self.address}" if self.name else self.address

    @property
    def known(self) -> Caller:
        """Who that was, without what he might do: without a token that is nothing."""
        return _known(self.address, self.name) if self.name else self

    @property
    def asker(self) -> Caller | None:
        """As `known`, to be named; None: nobody known, or the server of itself."""
        return None if self[:2] in _NAMELESS else self.known


@lru_cache(maxsize=4096)  # one registers many: one object for all that have the same registrant
def _known(address: str, name: str) -> Caller:
    return Caller(address, name)


NOBODY = Caller("")
# The address of a client whose connection had ended before it was looked up: what it sent can still be read (RFC 7239 has the word).
UNKNOWN = "unknown"
# For what the server does of itself.
SERVER = Caller("", "the server", Grants(admin=True))
_NAMELESS = (NOBODY[:2], SERVER[:2])
