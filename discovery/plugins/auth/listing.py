"""GET /admin/tokens: which tokens there are, from where, with which rights and until when; never their secrets or digests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from discovery.core.kinds import Revocation
from discovery.plugins.auth import revoking
from discovery.plugins.auth.revoking import RevokedToken
from discovery.plugins.auth.tokens import OWN_NAME, Token
from discovery.rest.api.answers import Answer, stamped
from discovery.rest.api.requests import Request
from discovery.rest.api.route import Kind, Right, Route
from discovery.rest.api.server.server import HEADING
from discovery.rest.api.shapes import Described, Perhaps, Reply, Time
from discovery.rest.api.times import Times, iso

Json = dict[str, Any]

_NONE = (
    "No token is needed here: whoever reaches the server may change everything. Set API_TOKEN or TOKENS_FILE "
    "(`discovery token new NAME` makes one), and start the server again"
)


class ListedToken(Described):
    """`source`: the setting that it comes from. `register`: patterns of services. `expires` null: never."""

    name: str
    source: Literal["API_TOKEN", "TOKENS_FILE"]
    register_: list[str] = Field(alias="register", examples=[[]])
    read: bool
    admin: bool
    expires: Time | None
    expired: bool
    revoked: bool


class TokensReply(Reply):
    """Of the node that is asked, but for `revoked`, which holds on all nodes. `fileFailure`: why TOKENS_FILE was not read anew."""

    tokens: list[ListedToken]
    revoked: list[RevokedToken] = Field(examples=[[]])
    reads_need_token: bool = Field(alias="readsNeedToken")
    file: str | None
    file_failure: str | None = Field(alias="fileFailure")
    message: Perhaps[str] = Field(None, description="what to set, where there are no tokens")


class Listing:
    """`tokens()`: those that are in use. `failure()`: why `file` was not read anew."""

    def __init__(
        self,
        tokens: Callable[[], Sequence[Token]],
        revoked: Mapping[bytes, Revocation],
        reads_need_token: bool,
        file: Path | None,
        failure: Callable[[], str | None],
        times: Times,
    ) -> None:
        self._tokens = tokens
        self._revoked = revoked
        self._reads_need_token = reads_need_token
        self._file = file
        self._failure = failure
        self._times = times

    def routes(self) -> list[Route]:
        return [
            Route(
                "GET", "/admin/tokens", self.get, Right.ADMIN, Kind.OPERATION, "Which tokens there are, without their secrets",
                HEADING, TokensReply,
            )
        ]  # fmt: skip

    def get(self, request: Request) -> Answer:
        tokens = self._tokens()
        now = self._times.wall()
        content = {
            "tokens": [self._shown(token, now) for token in tokens],
            "revoked": revoking.listed(self._revoked),
            "readsNeedToken": self._reads_need_token,
            "file": None if self._file is None else str(self._file),
            "fileFailure": self._failure(),
        }
        if not tokens and self._file is None:
            content["message"] = _NONE
        return Answer(200, stamped(content, self._times))

    def _shown(self, token: Token, now: float) -> Json:
        return {
            "name": token.name,
            "source": "API_TOKEN" if token.name == OWN_NAME else "TOKENS_FILE",
            "register": list(token.grants.register),
            "read": token.grants.read,
            "admin": token.grants.admin,
            "expires": None if token.expires is None else iso(token.expires),
            "expired": token.expires is not None and now >= token.expires,
            "revoked": token.digest in self._revoked,
        }
