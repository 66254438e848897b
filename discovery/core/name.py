"""Service names and the other labels of a registration, and text that is none.

A name is one DNS label (RFC 1035 §2.3.4: at most 63 octets), so whatever can be registered can be asked for over DNS.
Names are compared without case (RFC 4343) and shown as first registered; `fold` is the one place that says how.
"""

from __future__ import annotations

import re
import sys

from discovery.core.errors import InvalidField

# No leading `_`: `_tcp` and its like are DNS's own (RFC 8552). ASCII only, so look-alikes from other scripts are refused.
_LABEL = re.compile(r"(?![-_])[A-Za-z0-9_-]{1,63}(?<!-)")


# And halves of surrogate pairs, which are no text.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def fold(name: str) -> str:
    """The spelling by which names are compared."""
    return name.lower()


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
        raise InvalidField(field, "must have no control characters, such as a line's end")
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
