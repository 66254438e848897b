"""Service names and the labels of a registration, and text that is neither.

A name is any text. One that is a DNS label (RFC 1035 §2.3.4: at most 63 octets) can be asked for over DNS, others over HTTP alone.
Names are compared by ASCII case (RFC 4343) and shown as first registered; `fold` is the one place that says how.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import unquote

from discovery.core.errors import InvalidField
from discovery.core.schema import string

# No leading `_`: `_tcp` and its like are DNS's own (RFC 8552). ASCII only, so look-alikes from other scripts are refused.
_LABEL = re.compile(r"(?![-_])[A-Za-z0-9_-]{1,63}(?<!-)")


# And halves of surrogate pairs, which are no text.
_NO_CONTROL = "must have no control characters, such as a line's end"
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


# Characters of a service's name: as DNS has of a whole one, and Consul's clients take for granted.
MAX_NAME = 255
# As JSON schemas.
LABEL = {"type": "string", "pattern": "^[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$", "examples": ["user-service"]}
NAME = {**string(MAX_NAME, 1), "examples": ["user-service"]}


def fold(name: str) -> str:
    """The spelling by which names are compared."""
    return (
        name.lower() if name.isascii() else name.encode(errors="surrogatepass").lower().decode(errors="surrogatepass")
    )


def is_one_of(folded: str, texts: Iterable[str]) -> bool:
    """Whether one of them, folded, is that. To fold keeps the length: whoever asks for names that nobody has does not have
    thousands of long tags folded.
    """
    length = len(folded)
    return any(fold(text) == folded for text in texts if len(text) == length)


@lru_cache(4096)  # each heartbeat asks
def is_label(name: str) -> bool:
    """Whether it has a name in DNS."""
    return _LABEL.fullmatch(name) is not None


def service_name(text: object, field: str = "name") -> str:
    """`text` without surrounding blanks, if it is 1 to MAX_NAME characters without control characters; else InvalidField."""
    if not isinstance(text, str):
        raise InvalidField(field, "must be a string")
    stripped = text.strip()
    if not _LABEL.fullmatch(stripped):
        if not 1 <= len(stripped) <= MAX_NAME:
            raise InvalidField(field, f"is {len(stripped)} characters long, a name has 1 to {MAX_NAME}")
        if _CONTROL.search(stripped):
            raise InvalidField(field, _NO_CONTROL)
        if "\ufffd" in stripped:
            raise InvalidField(field, "must be text in UTF-8; U+FFFD stands for octets that are none")
        if stripped in (".", ".."):
            raise InvalidField(field, "must not be . or .., which means another place in a path")
    return sys.intern(stripped)


def joined(parts: Iterable[str]) -> str:
    """One path of them, in which a `/` of a part is no end of it. Labels and addresses stay as they are."""
    return "/".join([part.replace("%", "%25").replace("/", "%2F") for part in parts])


def parts_of(path: str) -> list[str]:
    """What was `joined`."""
    return [unquote(part) for part in path.split("/")]


def label(text: object, field: str) -> str:
    """`text` without surrounding blanks, if it is a label; else InvalidField that says which rule it broke."""
    if not isinstance(text, str):
        raise InvalidField(field, "must be a string")
    stripped = text.strip()
    if _LABEL.fullmatch(stripped):
        return sys.intern(stripped)  # the instances of a service have one name and the same tags: 50 octets each
    raise InvalidField(field, _why_not(stripped))


def plain_text(text: object, field: str, most: int) -> str:
    """`text` unaltered, if it is 1 to `most` octets of UTF-8 without control characters; else InvalidField."""
    if not isinstance(text, str):
        raise InvalidField(field, "must be a string")
    if not text:
        raise InvalidField(field, "must not be empty")
    if _CONTROL.search(text):
        raise InvalidField(field, _NO_CONTROL)
    octets = len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))
    if octets > most:
        raise InvalidField(field, f"is {octets:,} octets long, at most {most:,} are kept")
    return sys.intern(text)


def _why_not(text: str) -> str:
    if not text:
        return "must not be empty"
    if len(text) > 63:
        return f"is {len(text)} characters long, at most 63 fit a DNS label"
    return "must be letters, digits, '-' or '_', not start with '-' or '_' and not end with '-'"
