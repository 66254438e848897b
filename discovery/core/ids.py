"""Ids of instances: UUIDs of version 4 (RFC 9562 §5.4)."""

from __future__ import annotations

import os
import re

# Ids whose random bits are asked of the system at once: that call takes longer than all the rest.
_AT_ONCE = 128
_OCTETS = 16

_pool = bytearray()
_FORM = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def new_id() -> str:
    if not _pool:
        _pool[:] = os.urandom(_AT_ONCE * _OCTETS)
    random = _pool[-_OCTETS:].hex()
    del _pool[-_OCTETS:]
    variant = "89ab"[int(random[16], 16) & 3]
    return f"{random[:8]}-{random[8:12]}-4{random[13:16]}-{variant}{random[17:20]}-{random[20:]}"


def is_made_here(id: str) -> bool:
    """Or looks so: a client may choose one of this form."""
    return _FORM.fullmatch(id) is not None
