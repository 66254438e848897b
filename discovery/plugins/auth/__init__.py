"""Who may do what over HTTP: bearer tokens (RFC 6750) with scopes. README.md beside this file.

Two gates. At the door each request shows its token, and the route says which kind of right it takes; when a write is decided, it
says whose service it is about. What the first does not know, a body's or an id's service, the second does.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType

from discovery.core.caller import Caller
from discovery.core.errors import DiscoveryError, Forbidden, Unauthorized
from discovery.core.kinds import Revocation
from discovery.core.moment import to_the_second
from discovery.core.warning import critical, each, warning
from discovery.plugins import Plugin, Seams
from discovery.plugins.auth.attempts import ShowToken, WrongTokens
from discovery.plugins.auth.routes import TokenRoutes
from discovery.plugins.auth.settings import EXAMPLES, AuthSettings
from discovery.plugins.auth.tokens import Token, Tokens, TokensError, digest, own_token, read, read_own
from discovery.rest.api.requests import Request
from discovery.rest.api.route import Right
from discovery.rest.guard.admission import Admit
from discovery.store.engine import Engine, Refused
from discovery.store.registry import Registry
from discovery.system.env import SettingsError
from discovery.system.files import Reloaded

# Authorization headers whose token is remembered: those of all clients that beat.
_MAX_REMEMBERED = 4096
# Seconds: a token's end is warned of so long before, and its use after it so long after the last.
_ENDS_SOON = 7 * 86400.0
_USED_LATELY = 900.0
_EXPIRED = "its token expired"

_log = logging.getLogger("discovery.auth")
_EXAMPLES = frozenset(map(digest, EXAMPLES))


class Auth(Plugin):
    """`own`: tokens besides those of `file` and the one of `own_file`. `wall`: seconds since the epoch. `revoked`: by the SHA-256 of their
    secrets, on all nodes. Where there is no token and no file of them, all may do everything, and whoever asks for the tokens is told
    what to set.
    """

    def __init__(
        self,
        own: list[Token],
        file: Path | None,
        reads_need_token: bool,
        wall: Callable[[], float] = time.time,
        revoked: Mapping[bytes, Revocation] = MappingProxyType({}),
        own_file: Path | None = None,
    ) -> None:
        self._own = own
        files = [each for each in (file, own_file) if each is not None]
        self._file = Reloaded("tokens", files, partial(_read, file, own_file)) if files else None
        self._used: dict[
            str, float
        ] = {}  # when each token was shown last, expired or not: by name, seconds since the epoch
        self._reads_need_token = reads_need_token
        self._wall = wall
        self._revoked = revoked
        self._remembered: dict[str, Token] = {}
        self._wrong = WrongTokens(self._tell_wrong)
        self._refused: Sequence[Refused] = ()
        self._use_all(() if self._file is None else self._file.load())
        if self._file is not None:
            self._file.on_change = self._use
        self._routes = TokenRoutes(
            lambda: self._tokens, revoked, wall, self._used, reads_need_token and bool(own or files), file,
            lambda: None if self._file is None else self._file.failure,
        )  # fmt: skip

    def install(self, seams: Seams) -> None:
        seams.routes.append(self._routes.listing())
        if not self._own and self._file is None:
            return
        seams.admits.append(self.admit)
        seams.routes.extend(self._routes.revoking())
        seams.authorize.append(self._authorize)
        self._refused = seams.refused
        if self._file is not None:
            seams.files.append(self._file)
        seams.concerns.extend(
            [
                warning("token_expires", lambda: each(self._ending())),
                warning("token_expired", lambda: each(self._ended())),
                critical("example_token", lambda: each(self._examples())),
                warning("wrong_tokens", lambda: self._wrong.warnings(time.monotonic())),
            ]
        )

    def _ending(self) -> Iterator[str]:
        for token in self._tokens.all:
            if token.expires is not None and 0 <= token.expires - self._wall() <= _ENDS_SOON:
                when = to_the_second(token.expires)
                yield f"the token {token.name} expires at {when}, and is refused from then on; make another: `discovery token new`"

    def _ended(self) -> Iterator[str]:
        for token in self._tokens.all:
            used_at = self._used.get(token.name, 0.0)
            if token.expires is not None and used_at >= max(token.expires, self._wall() - _USED_LATELY):
                when = to_the_second(token.expires)
                yield f"the token {token.name} expired at {when} and is still used, in vain; give who has it another: `discovery token new`"

    def _examples(self) -> Iterator[str]:
        """Those that somebody has copied from our pages."""
        for token in self._tokens.all:
            if token.digest in _EXAMPLES:
                yield f"the secret of the token {token.name} stands in our documentation as an example: everybody has it; take another"

    def _note_wrong(self, address: str, error: DiscoveryError) -> None:
        self._wrong.note(address, str(error), time.monotonic())

    def _tell_wrong(self, prefix: str, count: int, why: str) -> None:
        _log.warning(
            "%(count)d wrong tokens from %(client)s, the last: %(reason)s",
            {"event": "token.wrong", "client": prefix, "count": count, "reason": why},
        )
        for refused in self._refused:
            refused(ShowToken(), Caller(prefix), Unauthorized(f"{count} wrong tokens, the last: {why}", ""))

    def admit(self, inner: Admit) -> Admit:
        def admit(request: Request) -> Caller:
            route = request.route
            caller = inner(request)
            authorization = route.manners.authorization(request)
            if authorization is not None:
                try:
                    token = self._token(authorization)
                    caller = Caller(request.address, token.name, token.grants, token.digest)
                    self._check(route.right, caller)
                except (Unauthorized, Forbidden) as error:
                    if route.right is not Right.NONE:  # what is open to all shows more to some
                        if getattr(error, "plain", "") != _EXPIRED:  # which is nobody's guess
                            self._note_wrong(request.address, error)
                        raise
            else:
                self._check(route.right, caller)
            return caller

        return admit

    async def open(self, engine: Engine) -> None:
        self._routes.engine = engine

    async def close(self) -> None:
        self._wrong.close()

    async def _use(self, tokens: Sequence[Token]) -> None:
        self._use_all(tokens)

    def _use_all(self, tokens: Sequence[Token]) -> None:
        """Those of the file."""
        self._tokens = Tokens([*self._own, *tokens])
        self._remembered.clear()
        for gone in self._used.keys() - {token.name for token in self._tokens.all}:
            del self._used[gone]

    def _token(self, authorization: str) -> Token:
        token = self._remembered.get(authorization)
        if token is None:
            scheme, _, secret = authorization.partition(" ")
            is_token = scheme.lower() == "bearer"
            token = self._tokens.find(secret.strip()) if is_token else None
            if token is None:
                if is_token and self._revoked:
                    self._check_revoked(digest(secret.strip()), "")
                raise Unauthorized(
                    "The token in Authorization is not known here; ask whoever runs this registry for one",
                    "its token is not known here",
                )
            if len(self._remembered) >= _MAX_REMEMBERED:
                self._remembered.clear()
            self._remembered[authorization] = token
        if self._revoked:
            self._check_revoked(token.digest, token.name)
        self._used[token.name] = now = self._wall()
        if token.expires is not None and now >= token.expires:
            text = f"The token {token.name} expired at {to_the_second(token.expires)}; ask for a new one"
            raise Unauthorized(text, _EXPIRED)
        return token

    def _check_revoked(self, sha256: bytes, name: str) -> None:
        if (revoked := self._revoked.get(sha256)) is not None:
            known = name or revoked.name or "in Authorization"
            text = f"The token {known} was revoked at {to_the_second(revoked.at)}; ask for a new one"
            raise Unauthorized(text, "its token was revoked")

    def _authorize(self, owner: str | None, by: Caller) -> None:
        """As `authorize`; the token may have been revoked since it was shown."""
        if self._revoked and by.token:
            self._check_revoked(by.token, by.name)
        try:
            authorize(owner, by)
        except Forbidden as error:
            self._note_wrong(by.address, error)
            raise

    def _check(self, right: Right, caller: Caller) -> None:
        grants = caller.grants
        if right is Right.NONE or (right is Right.READ and not self._reads_need_token):
            return
        if not caller.name:
            text = f"This takes a token with the right {right.value!r}: send Authorization: Bearer TOKEN"
            raise Unauthorized(text, "it shows no token")
        if right is Right.READ and not grants.may_read:
            raise Forbidden(caller.name, "read")
        if right is Right.ADMIN and not grants.admin:
            raise Forbidden(caller.name, "admin")
        if right is Right.WRITE and not (grants.register or grants.admin):
            raise Forbidden(caller.name, "register")


def authorize(owner: str | None, by: Caller) -> None:
    """Forbidden, unless the caller may write what belongs to this service; None: unless he is an admin."""
    grants = by.grants
    if grants.admin or (owner is not None and grants.may_write(owner)):
        return
    raise Forbidden(by.name, "admin" if owner is None else f"register:{owner}")


def _read(file: Path | None, own_file: Path | None) -> list[Token]:
    """TokensError."""
    return [*([] if own_file is None else [read_own(own_file)]), *([] if file is None else read(file))]


def make(registry: Registry, clock: Callable[[], float]) -> Auth:
    settings = AuthSettings.read()
    given = [] if settings.api_token is None else [own_token(settings.api_token.get_secret_value())]
    try:
        return Auth(
            given,
            settings.tokens_file,
            settings.require_read_token,
            revoked=registry.revoked,
            own_file=settings.api_token_file,
        )
    except TokensError as error:
        raise SettingsError(str(error)) from None
