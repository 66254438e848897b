"""The address by which this host speaks to the registry: the one at which others who speak to the registry will find it.

Never what the host's own name resolves to, which is 127.0.1.1 on Debian.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from urllib.parse import urlsplit

from discovery.client.errors import Attempt, Unreachable
from discovery.client.replies import why

_PORTS = {"http": 80, "https": 443}


async def local_address(urls: Iterable[str], seconds: float) -> str:
    """Of a connection to the first of these servers that takes one within `seconds`. Unreachable."""
    tried = []
    for url in urls:
        parts = urlsplit(url)
        try:
            async with asyncio.timeout(seconds):
                _, writer = await asyncio.open_connection(parts.hostname, parts.port or _PORTS[parts.scheme])
        except (OSError, TimeoutError) as error:
            tried.append(Attempt(url, why(error, seconds)))
            continue
        address: str = writer.get_extra_info("sockname")[0]
        writer.transport.abort()  # nothing was said, so nothing is lost; no TIME_WAIT stays behind
        return address
    raise Unreachable(tried)
