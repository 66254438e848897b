"""Where the registry is, and the token that is shown to it: given, or from DISCOVERY_URL, DISCOVERY_TOKEN, DISCOVERY_TOKEN_FILE."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, TypedDict
from urllib.parse import urlsplit

from discovery.client.errors import InvalidAddress, UnreadableToken, UnusableCertificate, printable

DEFAULT_URL = "http://127.0.0.1:3100"


class TlsNames(NamedTuple):
    """Of the variables that name the files of TLS, for what no argument names."""

    ca: str = "DISCOVERY_CA"
    cert: str = "DISCOVERY_CERT"
    key: str = "DISCOVERY_KEY"


OUR_NAMES = TlsNames()


class Access(TypedDict, total=False):
    """What RegistryClient takes, for those who make one."""

    urls: str | Sequence[str] | None
    token: str | None
    token_file: str | Path | None
    tls: str | Path | ssl.SSLContext | None
    cert: str | Path | None
    key: str | Path | None
    timeout: float


class Servers:
    """The base URLs of one registry, the one that answered last first.

    >>> servers = Servers("http://10.0.0.1:3100, http://10.0.0.2:3100/registry/")
    >>> servers.answered("http://10.0.0.2:3100/registry")
    >>> list(servers)
    ['http://10.0.0.2:3100/registry', 'http://10.0.0.1:3100']
    """

    def __init__(self, urls: str | Sequence[str] | None = None) -> None:
        """`urls`: separated by commas, or a sequence; None: DISCOVERY_URL, or this host's port 3100. InvalidAddress."""
        if urls is None:
            urls = os.environ.get("DISCOVERY_URL") or DEFAULT_URL
        parts = urls.split(",") if isinstance(urls, str) else urls
        self._urls = [_base_url(part.strip()) for part in parts if part.strip()]
        if not self._urls:
            raise InvalidAddress("no address of a registry is given; write one as http://10.0.0.1:3100")
        self._first = 0

    def __iter__(self) -> Iterator[str]:
        return iter([*self._urls[self._first :], *self._urls[: self._first]])

    def answered(self, url: str) -> None:
        self._first = self._urls.index(url)


def _base_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is no number, half a bracket
        valid = False
    if not valid or not text.isprintable():
        raise InvalidAddress(f"{text!r} is no address of a registry; write it as http://10.0.0.1:3100")
    if parts.username is not None or parts.query or parts.fragment:
        raise InvalidAddress(
            "the address of a registry has no user, query or fragment; a token belongs into DISCOVERY_TOKEN"
        )
    return text.rstrip("/")


class Tls:
    """As RegistryClient takes it. Files are read again when they change: a client's certificate often lasts a day."""

    def __init__(
        self,
        tls: str | Path | ssl.SSLContext | None = None,
        cert: str | Path | None = None,
        key: str | Path | None = None,
        names: TlsNames = OUR_NAMES,
    ) -> None:
        """UnusableCertificate."""
        self._context = tls if isinstance(tls, ssl.SSLContext) else None
        self._names = names
        given = () if self._context is not None else zip((tls, cert, key), names, strict=True)
        self._files = {name: str(file) for path, name in given if (file := path or os.environ.get(name))}
        self._seen: list[tuple[int, int, int]] = []
        self.read()

    def read(self) -> ssl.SSLContext | Literal[True]:
        """For aiohttp, now. What cannot be used any more, as in the middle of an exchange, leaves it as it was."""
        if self._files:
            try:
                seen = [_stamp(Path(file)) for file in self._files.values()]
                if seen != self._seen:
                    self._context, self._seen = self._made(), seen
            except (OSError, ValueError) as error:
                if self._context is None:
                    named = ", ".join(f"{name}={file}" for name, file in self._files.items())
                    reason = getattr(error, "strerror", None) or str(error)
                    raise UnusableCertificate(f"{named}: cannot be used: {printable(reason)}") from None
        return self._context or True

    def _made(self) -> ssl.SSLContext:
        """OSError, ValueError."""
        context = ssl.create_default_context(cafile=self._files.get(self._names.ca))
        if (cert := self._files.get(self._names.cert)) is not None:
            context.load_cert_chain(cert, self._files.get(self._names.key), password=_no_password)
        elif self._names.key in self._files:
            raise ValueError(f"a key is of use with a certificate only; name that with {self._names.cert}")
        return context


def _stamp(file: Path) -> tuple[int, int, int]:
    stat = file.stat()
    return stat.st_mtime_ns, stat.st_ino, stat.st_size


def _no_password() -> str:
    raise ValueError("the key is locked by a password")


class Token:
    """A bearer token, or none. One from a file is read again when the file changes, so that it can be exchanged under way."""

    def __init__(self, token: str | None = None, file: str | Path | None = None) -> None:
        """Both None: DISCOVERY_TOKEN, then the file that DISCOVERY_TOKEN_FILE names, then no token."""
        if token is None and file is None:
            token = os.environ.get("DISCOVERY_TOKEN", "").strip() or None
            file = os.environ.get("DISCOVERY_TOKEN_FILE") or None
        self._token = token
        self._file = None if file is None or token is not None else Path(file)
        self._seen: tuple[int, int, int] | None = None

    def read(self) -> str | None:
        """What to show now. UnreadableToken. The file is small and on this host: it is read where it is needed, without a thread,
        of which there are none when the interpreter ends and services deregister.
        """
        if self._file is None:
            if self._token is not None and not _fits_a_header(self._token):
                raise UnreadableToken(
                    "the token (DISCOVERY_TOKEN) has a line break or another character that no token has"
                )
            return self._token
        try:
            seen = _stamp(self._file)
            if seen != self._seen:
                self._token, self._seen = self._file.read_text("ascii").strip(), seen
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no ASCII text"
            raise UnreadableToken(f"the token file {self._file} cannot be read: {reason}") from None
        if not self._token or not _fits_a_header(self._token):
            raise UnreadableToken(f"the token file {self._file} must have one line, the token")
        return self._token


def _fits_a_header(token: str) -> bool:
    return token.isascii() and token.isprintable()
