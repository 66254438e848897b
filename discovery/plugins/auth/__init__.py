"""Who may do what over HTTP: bearer tokens (RFC 6750) with scopes. README.md beside this file.

Two gates. At the door each request shows its token, and the route says which kind of right it takes; in front of the engine each write
says whose service it is about. What the first does not know, a body's or an id's service, the second does.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from enum import Enum, auto
from pathlib import Path
from typing import TypeVar

from discovery.core.caller import NOBODY, Caller, Grants
from discovery.core.instance import Key
from discovery.plugins import Plugin
from discovery.plugins.auth.settings import AuthSettings
from discovery.plugins.auth.tokens import OWN_NAME, Token, Tokens, TokensError, digest, read
from discovery.rest.api.errors import HttpError
from discovery.rest.guard.admission import Admit
from discovery.store.engine import Engine
from discovery.store.registry import Registry
from discovery.store.service import Entry
from discovery.store.writes import Write
from discovery.system.env import SettingsError
from discovery.system.files import FileWatch

_log = logging.getLogger("discovery.auth")

# Authorization headers whose token is remembered: those of all clients that beat.
_MAX_REMEMBERED = 4096

T = TypeVar("T")


class Right(Enum):
    NONE = auto()  # anybody's: what load balancers ask
    READ = auto()
    WRITE = auto()
    ADMIN = auto()


_NONE = ("/health", "/ready")
# Reads that are sent with POST: DNS over HTTPS (RFC 8484).
_READS = ("/dns-query",)


def right_for(method: str, path: str) -> Right:
    """The right that a route takes. What is not known takes more rather than less."""
    if path in _NONE:
        return Right.NONE
    if path.startswith("/admin"):
        return Right.ADMIN
    return Right.READ if method in ("GET", "HEAD") or path in _READS else Right.WRITE


class Auth(Plugin):
    """`own`: tokens besides those of `file`. `wall`: seconds since the epoch."""

    guards = True

    def __init__(
        self,
        registry: Registry,
        own: list[Token],
        file: Path | None,
        reads_need_token: bool,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._registry = registry
        self._own = own
        self._file = file
        self._reads_need_token = reads_need_token
        self._wall = wall
        self._watch = None if file is None else FileWatch([file], self.reload)
        self._tokens = Tokens([*own, *(read(file) if file is not None else ())])
        self._remembered: dict[str, Token] = {}
        self._reloading = asyncio.Lock()

    def engine(self, inner: Engine) -> Engine:
        return GuardedEngine(inner, self._registry)

    def admit(self, inner: Admit) -> Admit:
        def admit(method: str, path: str, authorization: str | None, address: str) -> Caller:
            right = right_for(method, path)
            caller = inner(method, path, authorization, address)
            if authorization is not None and right is not Right.NONE:
                token = self._token(authorization)
                caller = Caller(address, token.name, token.grants)
            self._check(right, caller)
            return caller

        return admit

    async def open(self, engine: Engine) -> None:
        if self._watch is not None:
            self._watch.start()

    async def close(self) -> None:
        if self._watch is not None:
            await self._watch.close()

    async def reload(self) -> None:
        """Reads the file again; a bad one is logged and the tokens stay as they were."""
        if self._file is None:
            return
        async with self._reloading:  # an older look must not undo a newer one
            try:
                read_again = await asyncio.to_thread(read, self._file)
            except TokensError as error:
                _log.error("%s; the tokens stay as they were", error)
                return
            self._tokens = Tokens([*self._own, *read_again])
            self._remembered.clear()
            _log.info("%d tokens read again from %s", len(read_again), self._file)

    def _token(self, authorization: str) -> Token:
        token = self._remembered.get(authorization)
        if token is None:
            scheme, _, secret = authorization.partition(" ")
            token = self._tokens.find(secret.strip()) if scheme.lower() == "bearer" else None
            if token is None:
                raise _unauthorized(
                    "The token in Authorization is not known here; ask whoever runs this registry for one"
                )
            if len(self._remembered) >= _MAX_REMEMBERED:
                self._remembered.clear()
            self._remembered[authorization] = token
        if token.expires is not None and self._wall() >= token.expires:
            until = datetime.fromtimestamp(token.expires, UTC).isoformat(timespec="seconds")
            raise _unauthorized(f"The token {token.name} expired at {until}; ask for a new one")
        return token

    def _check(self, right: Right, caller: Caller) -> None:
        grants = caller.grants
        if right is Right.NONE or (right is Right.READ and not self._reads_need_token):
            return
        if not caller.name:
            raise _unauthorized(
                f"This takes a token with the right {_NAMES[right]!r}: send Authorization: Bearer TOKEN"
            )
        if right is Right.READ and not grants.may_read:
            raise _forbidden(caller, "read")
        if right is Right.ADMIN and not grants.admin:
            raise _forbidden(caller, "admin")
        if right is Right.WRITE and not (grants.register or grants.admin):
            raise _forbidden(caller, "register")


_NAMES = {Right.READ: "read", Right.WRITE: "register", Right.ADMIN: "admin"}


class GuardedEngine:
    def __init__(self, inner: Engine, registry: Registry) -> None:
        self._inner = inner
        self._registry = registry

    async def open(self) -> None:
        await self._inner.open()

    async def submit(self, write: Write[T], by: Caller = NOBODY) -> T:
        """As the inner engine, and HttpError 403."""
        if not by.grants.admin:
            _check_owner(write.owner(self._registry), by)
        return await self._inner.submit(write, by)

    def renew(self, which: Key | str, by: Caller = NOBODY) -> Entry:
        """As the inner engine, and HttpError 403."""
        if not by.grants.admin:
            service = which.service if isinstance(which, Key) else self._registry.by_id(which).instance.spec.key.service
            _check_owner(service, by)
        return self._inner.renew(which, by)

    def is_safe(self, id: str) -> bool:
        return self._inner.is_safe(id)

    async def close(self) -> None:
        await self._inner.close()


def _check_owner(service: str | None, by: Caller) -> None:
    if service is None:
        raise _forbidden(by, "admin")
    if not by.grants.may_write(service):
        raise _forbidden(by, f"register:{service}")


def _unauthorized(message: str) -> HttpError:
    error = HttpError(401, "UNAUTHORIZED", message)
    error.headers = {"WWW-Authenticate": 'Bearer realm="discovery"'}  # RFC 6750 §3
    return error


def _forbidden(caller: Caller, right: str) -> HttpError:
    return HttpError(403, "FORBIDDEN", f"The token {caller.name} has no right {right!r}", missing=right)


def make(registry: Registry, clock: Callable[[], float]) -> Auth | None:
    settings = AuthSettings.read()
    if settings.api_token is None and settings.tokens_file is None:
        return None
    own = []
    if settings.api_token is not None:
        own.append(Token(OWN_NAME, digest(settings.api_token.get_secret_value()), Grants(admin=True)))
    try:
        return Auth(registry, own, settings.tokens_file, settings.require_read_token)
    except TokensError as error:
        raise SettingsError(str(error)) from None
