"""A token that no node takes any more, whatever its files say. It is known by the SHA-256 of its secret."""

from __future__ import annotations

from typing import NamedTuple


class Revocation(NamedTuple):
    """`name`: of the token, as the file had it that knew it; empty when none did. `at`: epoch seconds. `by`: who asked for it.
    `expires`: when the token ends by itself, epoch seconds; None: never, as far as is known.
    """

    name: str
    at: float
    by: str
    expires: float | None = None
