"""Tokens: who has which rights, by the SHA-256 of a secret that only its owner has. A file of them:

[[token]]
name = "deploy"
sha256 = "…"                        64 hex digits
register = ["user-*", "billing"]    services that it may register, renew, drain and deregister
read = true                         what REQUIRE_READ_TOKEN asks for
admin = false                       everything, /admin and whole services included
expires = 2027-01-31T00:00:00Z
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from hmac import compare_digest
from pathlib import Path
from typing import Any, NamedTuple

from discovery.core.caller import Grants
from discovery.core.errors import DiscoveryError, reason_of
from discovery.core.name import fold
from discovery.plugins.auth.settings import MIN_SECRET, TOO_SHORT

# The name of the token that API_TOKEN is.
OWN_NAME = "API_TOKEN"
# Each request without a remembered token is compared with all of them, 0.3 µs each.
MAX_TOKENS = 1000
MAX_PATTERNS = 100

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,62}")
_PATTERN = re.compile(r"[A-Za-z0-9_*?-]{1,63}")
_FIRST_YEAR = 2000  # far earlier ones are no times in every zone
_HEX = re.compile(r"[0-9a-fA-F]{64}")
_FIELDS = ("name", "sha256", "register", "read", "admin", "expires")


class TokensError(DiscoveryError):
    def __init__(self, file: Path, reason: str, setting: str = "TOKENS_FILE") -> None:
        super().__init__(f"{setting}: {file}: {reason}")


class Token(NamedTuple):
    """`expires`: seconds since the epoch; None is never."""

    name: str
    digest: bytes
    grants: Grants
    expires: float | None = None


def digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


class Tokens:
    def __init__(self, tokens: Iterable[Token]) -> None:
        self.all = tuple(tokens)

    def called(self, name: str) -> Token | None:
        return next((token for token in self.all if token.name == name), None)

    def of(self, sha256: bytes) -> Token | None:
        """By its digest, which is no secret: for an admin."""
        return next((token for token in self.all if token.digest == sha256), None)

    def find(self, secret: str) -> Token | None:
        """The token of that secret. All are compared, in constant time each."""
        shown = digest(secret)
        found = [token for token in self.all if compare_digest(token.digest, shown)]
        return found[0] if found else None


def own_token(secret: str) -> Token:
    """What API_TOKEN is."""
    return Token(OWN_NAME, digest(secret), Grants(admin=True))


def read_own(file: Path) -> Token:
    """The one line of API_TOKEN_FILE. TokensError, without what it says."""
    try:
        secret = file.read_text("ascii").strip()
    except (OSError, ValueError) as error:
        reason = reason_of(error) if isinstance(error, OSError) else "is no ASCII text"
        raise TokensError(file, reason, "API_TOKEN_FILE") from None
    if len(secret) < MIN_SECRET or not secret.isprintable():
        raise TokensError(file, "has more than one line" if "\n" in secret else TOO_SHORT, "API_TOKEN_FILE")
    return own_token(secret)


def read(file: Path) -> list[Token]:
    """TokensError says what is wrong with which token."""
    try:
        text = file.read_text("utf-8")
    except OSError as error:
        raise TokensError(file, reason_of(error)) from None
    except ValueError as error:
        raise TokensError(file, f"is no TOML: {error}") from None
    if not text:  # somebody is writing it, or has lost it: nobody means to lock all out
        raise TokensError(file, "is empty")
    return parse(text, file)


def parse(text: str, file: Path) -> list[Token]:
    """`file` is for the TokensError."""
    try:
        content = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # no TOML, or nothing but brackets
        raise TokensError(file, f"is no TOML: {error}") from None
    blocks = content.pop("token", [])
    if content or not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        raise TokensError(file, "must have nothing but [[token]] blocks")
    if len(blocks) > MAX_TOKENS:
        raise TokensError(file, f"has {len(blocks)} tokens, at most {MAX_TOKENS} are read")
    try:
        tokens = [_token(block, number) for number, block in enumerate(blocks, 1)]
        _all_different(tokens)
    except ValueError as error:
        raise TokensError(file, str(error)) from None
    return tokens


def _token(block: dict[str, Any], number: int) -> Token:
    name = block.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(f"token {number}: name must be 1 to 63 letters, digits, '.', '_', '@' or '-'")
    unknown = block.keys() - set(_FIELDS)
    if unknown:
        raise ValueError(f"token {name}: {sorted(unknown)[0]!r:.40} is not known here; there are {', '.join(_FIELDS)}")
    sha256 = block.get("sha256")
    if not isinstance(sha256, str) or not _HEX.fullmatch(sha256):
        raise ValueError(f"token {name}: sha256 must be the 64 hex digits of the secret's SHA-256")
    flags = {right: block.get(right, False) for right in ("read", "admin")}
    for right, value in flags.items():
        if not isinstance(value, bool):
            raise ValueError(f"token {name}: {right} must be true or false")
    grants = Grants(_patterns(block.get("register", []), name), flags["read"], flags["admin"])
    return Token(name, bytes.fromhex(sha256), grants, _expires(block.get("expires"), name))


def _patterns(value: object, name: str) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MAX_PATTERNS:
        raise ValueError(f"token {name}: register must be a list of at most {MAX_PATTERNS} patterns")
    for pattern in value:
        if not isinstance(pattern, str) or not _PATTERN.fullmatch(pattern):
            raise ValueError(f"token {name}: register: {pattern!r:.80} is no pattern of service names, such as user-*")
    return tuple(fold(pattern) for pattern in value)


def _expires(value: object, name: str) -> float | None:
    if value is None:
        return None
    if not isinstance(value, datetime) or value.year < _FIRST_YEAR:
        raise ValueError(f"token {name}: expires must be a time such as 2027-01-31T00:00:00Z, without quotes")
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()


def _all_different(tokens: Sequence[Token]) -> None:
    names = {OWN_NAME}
    digests: set[bytes] = set()
    for token in tokens:
        if token.name in names or token.digest in digests:
            raise ValueError(f"token {token.name}: its name or its secret is there twice")
        names.add(token.name)
        digests.add(token.digest)


def block(name: str, sha256: bytes, register: Sequence[str], read: bool, admin: bool, expires: datetime | None) -> str:
    """A token as the file has it. DiscoveryError when it could not be read back."""
    lines = ["[[token]]", f'name = "{name}"', f'sha256 = "{sha256.hex()}"']
    lines += [f"register = [{', '.join(f'{chr(34)}{pattern}{chr(34)}' for pattern in register)}]"] if register else []
    lines += ["read = true"] if read else []
    lines += ["admin = true"] if admin else []
    lines += (
        [f"expires = {(expires if expires.tzinfo else expires.replace(tzinfo=UTC)).isoformat()}"] if expires else []
    )
    text = "\n".join(lines) + "\n"
    try:
        read_back = [_token(each, 1) for each in tomllib.loads(text)["token"]]
    except ValueError as error:
        raise DiscoveryError(str(error)) from None
    grants = Grants(tuple(fold(pattern) for pattern in register), read, admin)
    if [(token.name, token.digest, token.grants) for token in read_back] != [(name, sha256, grants)]:
        raise DiscoveryError("The name or a pattern has characters that names and patterns do not have")
    return text
