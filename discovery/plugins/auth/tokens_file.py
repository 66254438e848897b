"""Adds tokens to the file and takes them out again, as text: what people wrote between them stays.

What comes out is read back before it takes the file's place, whole and at once; a server that watches the file never sees half of it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from discovery.core.errors import reason_of
from discovery.plugins.auth.tokens import TokensError, parse, read
from discovery.system.in_place import write_in_place

_HEADER = re.compile(r"\s*\[\[\s*token\s*\]\]")
_EMPTY = "# No token is left.\n"


def add(file: Path, block: str) -> None:
    """`block`: as `tokens.block` makes it. Makes the file when it is missing. TokensError."""
    try:
        text = file.read_text("utf-8") if file.exists() else ""
    except (OSError, ValueError) as error:
        raise TokensError(file, reason_of(error)) from None
    joined = f"{text.rstrip()}\n\n{block}" if text.strip() else block
    parse(joined, file)
    _write(file, joined)


def remove(file: Path, name: str) -> None:
    """With the comment right above it. TokensError, also where there is none of that name."""
    tokens = read(file)
    kept = [token for token in tokens if token.name != name]
    if kept == tokens:
        raise TokensError(file, f"no token in it is called {name}; `discovery token list` shows them")
    blocks = list(_blocks(file.read_text("utf-8").splitlines(keepends=True)))
    text = "".join(block for block in blocks if not _is_of(block, name, file))
    if parse(text, file) != kept:
        raise TokensError(file, f"the token {name} cannot be told from what stands around it; take it out by hand")
    _write(file, text if text.strip() else _EMPTY)


def _blocks(lines: list[str]) -> Iterator[str]:
    """What stands before the first token, then each token with the comment right above it."""
    block: list[str] = []
    for line in lines:
        if _HEADER.match(line):
            comment: list[str] = []
            while block and block[-1].startswith("#"):
                comment.insert(0, block.pop())
            yield "".join(block)
            block = comment
        block.append(line)
    yield "".join(block)


def _is_of(block: str, name: str, file: Path) -> bool:
    try:
        return [token.name for token in parse(block, file)] == [name]
    except TokensError:  # part of a longer text in quotes; the whole is compared in the end
        return False


def _write(file: Path, text: str) -> None:
    file = file.resolve()  # where it is a link, the link stays
    try:
        write_in_place(file, text.encode(), os.O_EXCL)
    except FileExistsError as error:
        raise TokensError(file, f"somebody else is changing it; if nobody is, remove {error.filename}") from None
    except OSError as error:
        raise TokensError(file, reason_of(error)) from None
