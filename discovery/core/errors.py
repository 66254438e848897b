"""The one base of every error a client can mend. Each exact error is defined beside the code that raises it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class DiscoveryError(Exception):
    """`str(error)` is fit to show: what happened, to what, and what to do next. `facts`: what programs are told besides, as JSON."""

    facts: Mapping[str, Any] = {}


class InvalidField(DiscoveryError, ValueError):
    """One field of a registration or a look-up is not acceptable. `field` is its name as the client spelt it."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason
        self.facts = {"field": field}


class Unauthorized(DiscoveryError):
    """Nobody knows who asks: no token, or one that is not known or has expired. `plain`: the same as the end of a sentence about the
    client, without the token's name.
    """

    def __init__(self, message: str, plain: str) -> None:
        super().__init__(message)
        self.plain = plain


class Forbidden(DiscoveryError):
    """It is known who asks, and that he may not: `right` is missing."""

    plain = "its token has not the right to it"

    def __init__(self, who: str, right: str) -> None:
        super().__init__(f"The token {who} has no right {right!r}")
        self.facts = {"missing": right}


def reason_of(error: BaseException) -> str:
    """Of an OSError what the system says, without number and file; of others their text."""
    return getattr(error, "strerror", None) or str(error)
