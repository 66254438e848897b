"""`discovery token new|list|revoke|restore`: TOKENS_FILE, which a server reads again when it changes; and what all servers refuse.

The file gets a secret's SHA-256, never the secret: that is shown once, here.
"""

from __future__ import annotations

import secrets
import time
from datetime import datetime
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from discovery.cli import replies
from discovery.cli.commands import group
from discovery.cli.connection import Json, ask, get, in_path, send
from discovery.cli.env_file import EnvFile, use
from discovery.cli.errors import Failed, WrongArguments
from discovery.cli.output import Column, Format, put_line, put_rows, say
from discovery.client import RegistryClient
from discovery.plugins.auth.settings import AuthSettings
from discovery.plugins.auth.tokens import Token, block, digest, read
from discovery.plugins.auth.tokens_file import add, remove
from discovery.rest.api.times import iso
from discovery.system.env import SettingsError

# What it is can be told from its beginning, by people and by scanners for lost secrets.
_PREFIX = "dsc_"
_OCTETS = 32

_File = Annotated[Path | None, Parameter(help="instead of TOKENS_FILE")]

token = group("token")


@token.command
def new(
    name: Annotated[str, Parameter(help="who holds it, for logs and the audit")],
    /,
    *,
    register: Annotated[tuple[str, ...], Parameter(help="services, such as 'user-*'; may be repeated")] = (),
    read: Annotated[bool, Parameter(help="may read where REQUIRE_READ_TOKEN is set")] = False,
    admin: Annotated[bool, Parameter(help="may do everything")] = False,
    expires: Annotated[str | None, Parameter(help="such as 2027-01-31T00:00:00Z")] = None,
    file: _File = None,
    env_file: EnvFile = None,
) -> None:
    """make a token and put it into the file; its secret is shown once, now"""
    secret = _PREFIX + secrets.token_urlsafe(_OCTETS)
    text = block(name, digest(secret), register, read, admin, _time(expires))
    target = _configured(file, env_file)
    if target is not None:
        add(target, text)
    print(f"The secret, shown only now: {secret}")
    print(f"\nFor TOKENS_FILE:\n\n{text.rstrip()}" if target is None else f"{target} knows it as {name}")


@token.command(name="list")
def list_(*, file: _File = None, env_file: EnvFile = None, output: Format = "table") -> None:
    """show who has a token, with which rights, until when, and what the registry knows of its use"""
    tokens, known = read(_file(file, env_file)), _asked()
    now = time.time()
    rows = [_row(each, known, now) for each in tokens]
    put_rows(rows, _COLUMNS, output, name="name", empty="no token is in the file")


@token.command
def revoke(
    name: Annotated[str | None, Parameter(help="whose token")] = None,
    /,
    *,
    sha256: Annotated[str | None, Parameter(help="instead of the name, whatever file it is in: on all nodes")] = None,
    everywhere: Annotated[bool, Parameter(help="ask the registry: no node takes it any more")] = False,
    file: _File = None,
    env_file: EnvFile = None,
) -> None:
    """take a token out of the file, which a running server forgets at once; or have all nodes refuse it"""
    if (name is None) == (sha256 is None):
        raise WrongArguments("NAME, --sha256: give one of them")
    if sha256 is not None or everywhere:
        found = ask(
            lambda registry: _delete(registry, f"/admin/tokens/{in_path(sha256 or _known(name or '', file, env_file))}")
        )
        put_line(f"{_named(found)} is revoked on all nodes since {found['revokedAt']}")
        return
    target = _file(file, env_file)
    remove(target, name or "")
    print(f"{name} is no longer in {target}")


@token.command
def restore(sha256: Annotated[str, Parameter(help="of its secret, as `revoke` showed it")], /) -> None:
    """forget that a token was revoked: nodes that have it in a file take it again"""
    found = ask(lambda registry: _delete(registry, f"/admin/revocations/{in_path(sha256)}"))
    put_line(f"{_named(found)} is no longer revoked")


def _asked() -> Json:
    """What the node that answers knows; nothing, and why, where none does."""
    try:
        return ask(lambda registry: get(registry, "/admin/tokens", has=replies.TOKENS))
    except (Failed, WrongArguments) as error:
        say(f"which are revoked and when each was used last is not known: {error}")
        return {"tokens": [], "revoked": []}


async def _delete(registry: RegistryClient, path: str) -> Json:
    found: Json = (await send(registry, "DELETE", path, has=replies.TOKEN))["token"]
    return found


def _known(name: str, given: Path | None, env_file: Path | None) -> str:
    """The token's SHA-256 when the file here has it, so that it does not matter whether the node that is asked has; else its name."""
    file = _configured(given, env_file)
    found = (
        [each.digest.hex() for each in read(file) if each.name == name] if file is not None and file.exists() else []
    )
    return found[0] if found else name


def _named(found: Json) -> str:
    return f"{found['name'] or 'the token'} [sha256 {found['sha256']}]"


_COLUMNS = (
    Column("name", fold=True),
    Column("register", fold=True),
    Column("read"),
    Column("admin"),
    Column("expires"),
    Column("state"),
    Column("lastUsed"),
    Column("sha256", wide=True),
)


def _row(token: Token, known: Json, now: float) -> dict[str, object]:
    expired = token.expires is not None and now >= token.expires
    revoked = token.digest.hex() in {each["sha256"] for each in known["revoked"]}
    return {
        "name": token.name,
        "register": list(token.grants.register),
        "read": token.grants.read,
        "admin": token.grants.admin,
        "expires": None if token.expires is None else iso(token.expires),
        "state": "revoked" if revoked else "expired" if expired else "",
        "lastUsed": next((each.get("lastUsed") for each in known["tokens"] if each["name"] == token.name), None),
        "sha256": token.digest.hex(),
    }


def _configured(given: Path | None, env_file: Path | None) -> Path | None:
    use(env_file)
    return given or AuthSettings.read().tokens_file


def _file(given: Path | None, env_file: Path | None) -> Path:
    file = _configured(given, env_file)
    if file is None:
        raise SettingsError("TOKENS_FILE: is not set, so there is no file of tokens here; --file names one")
    return file


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise WrongArguments(f"--expires: {text!r} is no time; write it as 2027-01-31T00:00:00Z") from None
