"""DELETE /admin/tokens/NAME or /admin/tokens/SHA256: no node takes that token any more, whatever their files say.

It is a write like any other: durable when it is answered, at all nodes at the next revision, in the audit. DELETE
/admin/revocations/SHA256 forgets it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import Field

from discovery.core.kinds import Revocation
from discovery.plugins.auth.tokens import Tokens
from discovery.rest.api.answers import Answer, stamped
from discovery.rest.api.errors import HttpError
from discovery.rest.api.example import Example
from discovery.rest.api.requests import Request
from discovery.rest.api.route import STORED, Kind, Right, Route
from discovery.rest.api.server.server import HEADING
from discovery.rest.api.shapes import Described, Reply, Time
from discovery.rest.api.times import Times, iso
from discovery.store.engine import Engine
from discovery.store.errors import NotRevoked
from discovery.store.revoking import RestoreToken, RevokeToken

Json = dict[str, Any]

# A name has 63 characters at the most, so it is never one of these.
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


class RevokedToken(Described):
    """`name` is empty when the node that was asked had it in no file. `expires` null: never, as far as that node knew."""

    name: str
    sha256: str
    revoked_at: Time = Field(alias="revokedAt")
    revoked_by: str = Field(alias="revokedBy")
    expires: Time | None


class TokenReply(Reply):
    message: str = Field(examples=["Token revoked on all nodes"])
    token: RevokedToken


class Revoking:
    """`tokens`: those that this node takes. `revoked`: by SHA-256, on all nodes. `engine` is set before the first request."""

    engine: Engine

    def __init__(self, tokens: Callable[[], Tokens], revoked: Mapping[bytes, Revocation], times: Times) -> None:
        self._tokens = tokens
        self._revoked = revoked
        self._times = times

    def routes(self) -> list[Route]:
        return [
            Route(
                "DELETE", "/admin/tokens/{token}", self.revoke, Right.ADMIN, Kind.OPERATION,
                "Revoke a token on all nodes, by name or SHA-256", HEADING, TokenReply, codes=(*STORED, "TOO_MANY_REVOKED"),
            ),
            Route(
                "DELETE", "/admin/revocations/{sha256}", self.restore, Right.ADMIN, Kind.OPERATION,
                "Forget that a token was revoked", HEADING, TokenReply, codes=STORED,
                examples=(
                    Example(
                        after=("DELETE /admin/tokens/deploy",),
                        more={"message": "Token no longer revoked: whoever has it in a file takes it"},
                    ),
                ),
            ),
        ]  # fmt: skip

    async def revoke(self, request: Request) -> Answer:
        sha256, name, expires = self._named(request.names["token"])
        write = RevokeToken(sha256, name, expires, f"revoked, {request.reason}")
        revoked = await self.engine.submit(write, request.caller)
        content = {"message": "Token revoked on all nodes", "token": shown(sha256, revoked)}
        return Answer(200, stamped(content, self._times))

    async def restore(self, request: Request) -> Answer:
        text = request.names["sha256"]
        if not _SHA256.fullmatch(text):
            raise NotRevoked(text)
        sha256 = bytes.fromhex(text)
        write = RestoreToken(sha256, f"no longer revoked, {request.reason}")
        revoked = await self.engine.submit(write, request.caller)
        content = {
            "message": "Token no longer revoked: whoever has it in a file takes it",
            "token": shown(sha256, revoked),
        }
        return Answer(200, stamped(content, self._times))

    def _named(self, text: str) -> tuple[bytes, str, float | None]:
        """Digest, name, expiry. HttpError 404."""
        if _SHA256.fullmatch(text):
            sha256 = bytes.fromhex(text)
            token = self._tokens().of(sha256)
            return (sha256, "", None) if token is None else (sha256, token.name, token.expires)
        if (token := self._tokens().called(text)) is not None:
            return token.digest, token.name, token.expires
        for sha256, revoked in reversed(list(self._revoked.items())):  # done before, and out of the file since
            if revoked.name == text:
                return sha256, text, revoked.expires
        raise HttpError(
            404,
            "TOKEN_UNKNOWN",
            f"No token called {text} is in this node's TOKENS_FILE; ask a node that has it, or name it by the SHA-256 of its secret, which "
            "`discovery token list --output wide` shows",
        )


def listed(revoked: Mapping[bytes, Revocation]) -> list[Json]:
    """Oldest first."""
    return [shown(sha256, each) for sha256, each in revoked.items()]


def shown(sha256: bytes, revoked: Revocation) -> Json:
    return {
        "name": revoked.name,
        "sha256": sha256.hex(),
        "revokedAt": iso(revoked.at),
        "revokedBy": revoked.by,
        "expires": None if revoked.expires is None else iso(revoked.expires),
    }
