"""What admins see and do of tokens, over HTTP.

GET /admin/tokens: which tokens there are, from where, with which rights and until when; never their secrets or digests.

DELETE /admin/tokens/NAME or /admin/tokens/SHA256: no node takes that token any more, whatever their files say. It is a write like any
other: durable when it is answered, at all nodes at the next revision, in the audit. DELETE /admin/revocations/SHA256 forgets it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from discovery.core.kinds import Revocation
from discovery.core.schema import FLAG, TEXT, described, list_of, one_of, or_null
from discovery.plugins.auth.tokens import OWN_NAME, Token, Tokens
from discovery.rest.api.answers import Json
from discovery.rest.api.errors import HttpError
from discovery.rest.api.example import Example
from discovery.rest.api.requests import Request
from discovery.rest.api.route import STORED, Kind, Right, Route
from discovery.rest.api.server.server import HEADING
from discovery.rest.api.shapes import TIME, Shape, like, reply, said
from discovery.rest.api.times import iso
from discovery.store.engine import Engine
from discovery.store.errors import NotRevoked
from discovery.store.operations import RestoreToken, RevokeToken

# A name has 63 characters at the most, so it is never one of these.
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")

_NONE = (
    "No token is needed here: whoever reaches the server may change everything. Set API_TOKEN or TOKENS_FILE "
    "(`discovery token new NAME` makes one), and start the server again"
)
_RESTORED = "Token no longer revoked: whoever has it in a file takes it"


_REVOKED = Shape(
    "RevokedToken",
    {"name": TEXT, "sha256": TEXT, "revokedAt": TIME, "revokedBy": TEXT, "expires": or_null(TIME)},
    "`name` is empty when the node that was asked had it in no file. `expires` null: never, as far as that node knew.",
)
_TOKEN_REPLY = reply("TokenReply", {"message": said("Token revoked on all nodes"), "token": _REVOKED})
_LISTED = Shape(
    "ListedToken",
    {
        "name": TEXT,
        "source": described(one_of(("API_TOKEN", "TOKENS_FILE")), "the setting that it comes from"),
        "register": described(like(list_of(TEXT), []), "patterns of services"),
        "read": FLAG,
        "admin": FLAG,
        "expires": described(or_null(TIME), "null: never"),
        "expired": FLAG,
        "revoked": FLAG,
        "lastUsed": described(or_null(TIME), "at this node, since it started; null: not yet"),
    },
)
TOKENS_REPLY = reply(
    "TokensReply",
    {
        "tokens": list_of(_LISTED),
        "revoked": like(list_of(_REVOKED), []),
        "readsNeedToken": FLAG,
        "file": or_null(TEXT),
        "fileFailure": described(or_null(TEXT), "why TOKENS_FILE was not read anew"),
        "message?": described(TEXT, "what to set, where there are no tokens"),
    },
    "Of the node that is asked, but for `revoked`, which holds on all nodes.",
)


@dataclass(eq=False)
class TokenRoutes:
    """`tokens()`: those that this node takes. `used`: when each was last, by name, epoch seconds. `revoked`: by SHA-256, on all nodes.
    `failure()`: why `file` was not read anew. `engine` is set before the first write.
    """

    tokens: Callable[[], Tokens]
    revoked: Mapping[bytes, Revocation]
    wall: Callable[[], float]
    used: Mapping[str, float]
    reads_need_token: bool
    file: Path | None
    failure: Callable[[], str | None]
    engine: Engine = field(init=False)

    def listing(self) -> Route:
        return Route(
            "GET", "/admin/tokens", self.list, Right.ADMIN, Kind.OPERATION, "Which tokens there are, without their secrets",
            HEADING, TOKENS_REPLY,
        )  # fmt: skip

    def revoking(self) -> list[Route]:
        return [
            Route(
                "DELETE", "/admin/tokens/{token}", self.revoke, Right.ADMIN, Kind.OPERATION,
                "Revoke a token on all nodes, by name or SHA-256", HEADING, _TOKEN_REPLY, codes=(*STORED, "TOO_MANY_REVOKED"),
            ),
            Route(
                "DELETE", "/admin/revocations/{sha256}", self.restore, Right.ADMIN, Kind.OPERATION,
                "Forget that a token was revoked", HEADING, _TOKEN_REPLY, codes=STORED,
                examples=(Example(after=("DELETE /admin/tokens/deploy",), more={"message": _RESTORED}),),
            ),
        ]  # fmt: skip

    def list(self, request: Request) -> Json:
        tokens = self.tokens().all
        now = self.wall()
        content = {
            "tokens": [self._listed(token, now) for token in tokens],
            "revoked": [shown(sha256, each) for sha256, each in self.revoked.items()],  # oldest first
            "readsNeedToken": self.reads_need_token,
            "file": None if self.file is None else str(self.file),
            "fileFailure": self.failure(),
        }
        if not tokens and self.file is None:
            content["message"] = _NONE
        return content

    def _listed(self, token: Token, now: float) -> Json:
        return {
            "name": token.name,
            "source": "API_TOKEN" if token.name == OWN_NAME else "TOKENS_FILE",
            "register": list(token.grants.register),
            "read": token.grants.read,
            "admin": token.grants.admin,
            "expires": None if token.expires is None else iso(token.expires),
            "expired": token.expires is not None and now >= token.expires,
            "revoked": token.digest in self.revoked,
            "lastUsed": None if (used := self.used.get(token.name)) is None else iso(used),
        }

    async def revoke(self, request: Request) -> Json:
        sha256, name, expires = self._named(request.names["token"])
        write = RevokeToken(sha256, name, expires, f"revoked, {request.reason}")
        revoked = await self.engine.submit(write, request.caller)
        return self._answer("Token revoked on all nodes", sha256, revoked)

    async def restore(self, request: Request) -> Json:
        text = request.names["sha256"]
        if not _SHA256.fullmatch(text):
            raise NotRevoked(text)
        sha256 = bytes.fromhex(text)
        write = RestoreToken(sha256, f"no longer revoked, {request.reason}")
        revoked = await self.engine.submit(write, request.caller)
        return self._answer(_RESTORED, sha256, revoked)

    def _answer(self, message: str, sha256: bytes, revoked: Revocation) -> Json:
        return {"message": message, "token": shown(sha256, revoked)}

    def _named(self, text: str) -> tuple[bytes, str, float | None]:
        """Digest, name, expiry. HttpError 404."""
        if _SHA256.fullmatch(text):
            sha256 = bytes.fromhex(text)
            token = self.tokens().of(sha256)
            return (sha256, "", None) if token is None else (sha256, token.name, token.expires)
        if (token := self.tokens().called(text)) is not None:
            return token.digest, token.name, token.expires
        for sha256, revoked in reversed(list(self.revoked.items())):  # done before, and out of the file since
            if revoked.name == text:
                return sha256, text, revoked.expires
        raise HttpError(
            "TOKEN_UNKNOWN",
            f"No token called {text} is in this node's TOKENS_FILE; ask a node that has it, or name it by the SHA-256 of its secret, which "
            "`discovery token list --output wide` shows",
        )


def shown(sha256: bytes, revoked: Revocation) -> Json:
    return {
        "name": revoked.name,
        "sha256": sha256.hex(),
        "revokedAt": iso(revoked.at),
        "revokedBy": revoked.by,
        "expires": None if revoked.expires is None else iso(revoked.expires),
    }
