"""An Auth with one token of each kind, a wall clock that stands still, and its file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from discovery.core.caller import Caller
from discovery.core.errors import Forbidden, Unauthorized
from discovery.engines.local import LocalEngine
from discovery.plugins import Seams
from discovery.plugins.auth import Auth
from discovery.plugins.auth.tokens import digest
from discovery.rest.guard.admission import Admit, anyone
from tests.routes import asked
from tests.store.making import START, WALL, a_registry

# Names of tokens; the secret of each is in SECRETS.
OWNER, FOREIGN, READER, ADMIN, NONE, OLD = "owner", "foreign", "reader", "admin", "none", "old"
SECRETS = {name: f"dsc_{name}-0123456789" for name in (OWNER, FOREIGN, READER, ADMIN, NONE, OLD)}
RIGHTS = {
    OWNER: 'register = ["web", "web-*"]',
    FOREIGN: 'register = ["other-*"]',
    READER: "read = true",
    ADMIN: "admin = true",
    NONE: "",
    OLD: "admin = true\nexpires = 2023-11-14T22:13:30Z",  # ten seconds after WALL
}
ADDRESS = "10.9.9.9"


def written(names: tuple[str, ...] = tuple(RIGHTS), **more: str) -> str:
    """A file of these tokens; `more`: lines of theirs."""
    return "\n".join(
        f'[[token]]\nname = "{name}"\nsha256 = "{digest(SECRETS[name]).hex()}"\n{RIGHTS[name]}\n{more.get(name, "")}'
        for name in names
    )


def bearer(name: str) -> str:
    return f"Bearer {SECRETS[name]}"


class House:
    """`now`: epoch seconds."""

    def __init__(self, file: Path, reads_need_token: bool = False, **registry: Any) -> None:
        self.now = WALL
        self.file = file
        if not file.exists():
            file.write_text(written())
        self.registry = a_registry(**registry)
        self.auth = Auth([], file, reads_need_token, lambda: self.now, self.registry.revoked)
        self.seams = Seams()
        self.auth.install(self.seams)
        (admit,) = self.seams.admits
        self.admit: Admit = admit(anyone)
        self.engine = LocalEngine(self.registry, lambda: START, lambda: self.now, self.seams)

    def let_in(self, method: str, path: str, authorization: str | None) -> Caller:
        request = asked(method, path, ADDRESS)
        if authorization is not None:
            request.headers[b"authorization"] = authorization.encode("utf-8", "surrogateescape")
        return self.admit(request)

    def turned_away(self, method: str, path: str, authorization: str | None) -> Forbidden | Unauthorized:
        with pytest.raises((Forbidden, Unauthorized)) as caught:
            self.let_in(method, path, authorization)
        error = caught.value
        assert isinstance(error, Forbidden | Unauthorized)
        return error
