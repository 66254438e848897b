"""Commits that do not fit what this node has: a defect here, or an older version gave one id to two services. Nothing of such a commit is
applied; it is named in the log and in /ready until its services were read again from etcd.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping

from discovery.core.log_fields import fields
from discovery.engines.etcd.messages import EtcdAway, EtcdError
from discovery.store.fits import DoesNotFit

# Seconds until a service is read again that could not be or that does not fit even then: twice as many each time, up to the second.
_AGAIN_SECONDS, _MOST_SECONDS = 0.5, 60.0

_log = logging.getLogger("discovery.etcd")


class Misfits:
    """`times`: how many there were, since the start."""

    def __init__(self) -> None:
        self.times = 0
        self._why: dict[str, str] = {}  # by service
        self._any = asyncio.Event()

    def note(self, error: DoesNotFit) -> None:
        self.times += 1
        self._any.set()
        for service in error.services:
            if self._why.get(service) != str(error):
                self._why[service] = str(error)
                _log.error(
                    "a commit about the service %s does not fit what this node has, and nothing of it is applied: %s; the service is read "
                    "from etcd again", service, error,
                    extra=fields("etcd.misfit", service=service, reason=str(error)),
                )  # fmt: skip

    async def mend(self, read_anew: Callable[[str], Awaitable[None]]) -> None:
        """For ever. `read_anew`: a service; it calls `forget` when all fits."""
        pause = _AGAIN_SECONDS
        while True:
            await self._any.wait()
            for service in list(self._why):
                with contextlib.suppress(EtcdAway, EtcdError, TimeoutError):
                    await read_anew(service)
            pause = min(2 * pause, _MOST_SECONDS) if self._why else _AGAIN_SECONDS
            await asyncio.sleep(pause)

    def forget(self, service: str) -> None:
        self._why.pop(service, None)
        if not self._why:
            self._any.clear()

    def clear(self) -> None:
        """Everything was read again."""
        self._why.clear()
        self._any.clear()

    def warnings(self) -> Mapping[str, str]:
        return {
            service: f"what came from etcd about the service {service} does not fit what this node has ({why}): it is read again"
            for service, why in self._why.items()
        }
