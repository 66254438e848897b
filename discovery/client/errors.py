"""What can go wrong between a client and the registry. Texts are fit to show: whatever the other side sent is made printable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple


class RegistryError(Exception):
    """The one base. `str(error)` says what happened, to what, and what to do next."""


class InvalidAddress(RegistryError):
    """What was given as the registry's address is none."""


class UnreadableToken(RegistryError):
    """The token cannot be used: its file cannot be read or is empty, or it holds what no token does."""


class UnusableCertificate(RegistryError):
    """A file of DISCOVERY_CERT, DISCOVERY_KEY or DISCOVERY_CA, or what was given instead, cannot be used."""


class Attempt(NamedTuple):
    """One server that was asked, and why it gave no answer."""

    url: str
    reason: str


class Unreachable(RegistryError):
    """No server answered. `tried`: each that was asked, in that order."""

    def __init__(self, tried: Sequence[Attempt]) -> None:
        self.tried = tuple(tried)
        each = "; ".join(f"{url}: {reason}" for url, reason in tried)
        super().__init__(f"no registry answers ({printable(each)}); is it running, and is DISCOVERY_URL right?")


class Refused(RegistryError):
    """The registry answered with an error. `status`: HTTP's. `code`: the registry's own, such as INSTANCE_UNKNOWN, or empty.

    `content`: the JSON body, an object. `headers`: by any case. `retry_after`: seconds the server asks to wait, or None.
    """

    def __init__(
        self, status: int, content: Mapping[str, Any], headers: Mapping[str, str], retry_after: float | None
    ) -> None:
        super().__init__(printable(content["message"]))
        self.status = status
        self.code: str = content.get("code", "")
        self.content = content
        self.headers = headers
        self.retry_after = retry_after

    @property
    def passing(self) -> bool:
        """Whether it may end while nothing changes here: too many clients, no room, a server that starts, ends or has no disk."""
        return self.status == HTTPStatus.TOO_MANY_REQUESTS or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR


class NotARegistry(RegistryError):
    """Somebody else answers at that address: HTML, a redirect, or no JSON at all."""

    def __init__(self, url: str, answer: str) -> None:
        super().__init__(
            f"{printable(url)} is no registry: it answered with {printable(answer)}; is DISCOVERY_URL right?"
        )
        self.url = url


def printable(text: str) -> str:
    """`text` with every character written out that starts a line, moves a cursor or turns the direction of reading."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
