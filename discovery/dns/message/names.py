"""Domain names: tuples of labels, lower case (RFC 4343), the root's empty label left out. `(b"svc", b"local")` is svc.local."""

from __future__ import annotations

Name = tuple[bytes, ...]

ROOT: Name = ()
# RFC 1035 §2.3.4, both counted on the wire.
MAX_LABEL = 63
MAX_NAME = 255


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
    return b"".join([_LENGTHS[len(label)] + label for label in name])


_LENGTHS = [bytes((length,)) for length in range(256)]


def from_wire(octets: bytes) -> Name:
    """The uncompressed name at the start of `octets`, which must be whole."""
    labels, at = [], 0
    while size := octets[at]:
        labels.append(octets[at + 1 : at + 1 + size].lower())
        at += 1 + size
    return tuple(labels)


def _label_text(label: bytes) -> str:
    return "".join(chr(c) if 33 <= c < 127 and c not in b'.\\"' else f"\\{c:03d}" for c in label)
