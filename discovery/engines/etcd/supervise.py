"""A part of the engine that runs as long as the process: what fails begins again, what cannot be understood ends the process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any

from discovery.core.errors import DiscoveryError
from discovery.store.errors import NewerVersion

_log = logging.getLogger("discovery.etcd")


async def supervise(work: Callable[[], Any], fails: Iterable[Callable[[DiscoveryError], None]]) -> None:
    while True:
        try:
            await work()
        except asyncio.CancelledError:
            raise
        except NewerVersion as error:
            for fail in fails:
                fail(error)
            return
        except Exception:
            _log.exception(
                "%(part)s failed; it begins again in a second", {"event": "engine.failed", "part": work.__qualname__}
            )
            await asyncio.sleep(1)
