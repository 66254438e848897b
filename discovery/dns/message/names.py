"""Domain names: tuples of labels, lower case (RFC 4343), the root's empty label left out. `(b"svc", b"local")` is svc.local.

`read` and `skip` are the only code that walks the labels of a name on the wire.
"""

from __future__ import annotations

Name = tuple[bytes, ...]

ROOT: Name = ()
# RFC 1035 §2.3.4, both counted on the wire.
MAX_LABEL = 63
MAX_NAME = 255
# RFC 1035 §4.1.4: a length octet from here on begins a pointer. No name stands in the header, so none points there.
_POINTER = 0xC0
_HEADER = 12


def from_text(text: str) -> Name:
    """From plain host-name text without escapes; ValueError when it is no domain name."""
    labels = tuple(part.encode("ascii") for part in text.lower().rstrip(".").split(".")) if text.strip(".") else ROOT
    if any(not 1 <= len(label) <= MAX_LABEL for label in labels) or len(to_wire(labels)) > MAX_NAME:
        raise ValueError(f"{text!r} is not a domain name")
    return labels


def to_text(name: Name) -> str:
    """For people: absolute, without the final dot; octets that are not printable ASCII as \\DDD (RFC 1035 §5.1)."""
    return ".".join(_label_text(label) for label in name) or "."


def to_wire(name: Name) -> bytes:
    """Uncompressed (RFC 1035 §3.1)."""
    return to_labels(name) + b"\0"


def to_labels(name: Name) -> bytes:
    """Without the root, to go on with another name or a pointer."""
    if len(name) == 1:
        return _LENGTHS[len(name[0])] + name[0]  # in a third of the time
    return b"".join([_LENGTHS[len(label)] + label for label in name])


_LENGTHS = [bytes((length,)) for length in range(256)]


def from_wire(octets: bytes) -> Name:
    """The uncompressed name at the start of `octets`."""
    return read(octets, 0)[0]


def read(message: bytes, at: int) -> tuple[Name, int]:
    """The name at octet `at`, its pointers followed, and the place of the octet behind it.

    ValueError when it is no name, IndexError when the message ends in it.
    """
    labels: list[bytes] = []
    start, end = at, 0
    last = at + MAX_NAME - 1  # where the root's octet may stand
    while length := message[at]:
        if length > MAX_LABEL:
            if length < _POINTER:
                raise ValueError("a label that is too long")
            end = end or at + 2
            to = (length & 0x3F) << 8 | message[at + 1]
            if not _HEADER <= to < start:  # only ever backwards, so that there is no loop
                raise ValueError("a pointer that leads to no name")
            last += to - at
            start = at = to
            continue
        at += 1
        labels.append(message[at : at + length].lower())
        at += length
        if at > last:
            raise ValueError("a name that is too long")
    return tuple(labels), end or at + 1


def skip(message: bytes, at: int) -> int:
    """The place of the octet behind the name at octet `at`, whose pointer is not followed. Errors as of `read`."""
    while length := message[at]:
        if length >= _POINTER:
            return at + 2
        if length > MAX_LABEL:
            raise ValueError("a label that is too long")
        at += 1 + length
    return at + 1


def _label_text(label: bytes) -> str:
    return "".join(chr(c) if 33 <= c < 127 and c not in b'.\\"' else f"\\{c:03d}" for c in label)
