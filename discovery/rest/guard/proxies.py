"""Who the caller is behind proxies. X-Forwarded-For of a trusted one says by whom it was asked; each proxy adds an address on the right.

Whoever is not trusted may send any such header: nothing believes it.
"""

from __future__ import annotations

import re

from discovery.core.network import Networks, ip_of
from discovery.rest.api.requests import Request

# `10.0.0.7:50124` and `[2001:db8::7]:50124`, as some proxies write it.
_WITH_PORT = re.compile(r"\[([^\]]*)\](?::\d+)?|([0-9.]+):\d+")


def caller_of(request: Request, peer: str, trusted: Networks) -> str:
    """The rightmost address that is no trusted proxy's; `peer`'s where that one is not trusted. What is no address ends the search."""
    found = peer
    forwarded = (request.header(b"x-forwarded-for") or "").split(",")
    while found in trusted and forwarded:
        text = forwarded.pop().strip()
        match = _WITH_PORT.fullmatch(text)
        ip = ip_of(text if match is None else match[1] or match[2])
        if ip is None:
            break
        found = str(ip)
    return found
