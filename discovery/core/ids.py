"""Ids of instances: UUIDs of version 4 (RFC 9562 §5.4)."""

from __future__ import annotations

import os

# Ids whose random bits are asked of the system at once: that call takes longer than all the rest.
_AT_ONCE = 128
_OCTETS = 16

_pool = bytearray()


def new_id() -> str:
    if not _pool:
        _pool[:] = os.urandom(_AT_ONCE * _OCTETS)
    random = _pool[-_OCTETS:].hex()
    del _pool[-_OCTETS:]
    variant = "89ab"[int(random[16], 16) & 3]
    return f"{random[:8]}-{random[8:12]}-4{random[13:16]}-{variant}{random[17:20]}-{random[20:]}"
