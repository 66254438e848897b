"""What is left of an answer that is longer than a piece: the client takes it as it reads, it is not pushed at it."""

from __future__ import annotations

from collections.abc import Callable

from discovery.rest.api.answers import KeptBody, Pieces
from discovery.system.turns import Turns

# Octets that a connection is given at a time, and all that waits for a client that does not read what many are given.
PIECE = 16 * 1024


class Pull:
    """`own`: octets that wait for this client alone. `on_own()` is called when they become more. `chunked`: RFC 9112 §7.1."""

    def __init__(
        self, body: bytes | KeptBody | Pieces, turns: Turns, on_own: Callable[[], None], *, chunked: bool = False
    ) -> None:
        self._kept = body if isinstance(body, KeptBody) else None
        self._octets = body if isinstance(body, bytes) else b"" if self._kept is None else self._kept.octets
        self._pieces = None if isinstance(body, bytes | KeptBody) else body
        self._turns = turns
        self._on_own = on_own
        self._chunked = chunked
        self._at = 0
        self._adopted = 0
        if self._kept is not None:
            self._kept.begin(self)

    @property
    def own(self) -> int:
        return self._adopted if self._kept is not None else len(self._octets) - self._at

    def adopt(self, octets: int) -> None:
        self._adopted = octets
        self._on_own()

    def next(self) -> bytes | None:
        """A piece; empty: it is still being made. None: that was all."""
        if self._pieces is not None:
            return self._made(self._pieces)
        if self._at >= len(self._octets):
            return None
        piece = self._octets[
            self._at : self._at + PIECE
        ]  # a copy: what many are given is not held by who holds a piece of it
        self._at += len(piece)
        return piece

    def _made(self, pieces: Pieces) -> bytes | None:
        gathered, ended = bytearray(), True
        for piece in pieces:
            gathered += piece
            if len(gathered) > PIECE or self._turns.is_over():
                ended = False
                break
        if ended:
            self._pieces = None
        if not self._chunked:
            return bytes(gathered) if gathered or not ended else None
        chunk = b"%x\r\n%b\r\n" % (len(gathered), bytes(gathered)) if gathered else b""
        return chunk + b"0\r\n\r\n" if ended else chunk

    def close(self) -> None:
        """The client has all of it, or has gone."""
        if self._kept is not None:
            self._kept.end(self)
