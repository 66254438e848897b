"""Follows etcd for ever: its watch brings what happens to the mirror. Where it can't go on after it ended (compacted, too far behind), all
is read again; so it is where etcd is no longer the one that this node knows: an older copy was restored, by its revision or its members.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import NoReturn

from discovery.engines.etcd.gateway import Etcd
from discovery.engines.etcd.layout import Layout
from discovery.engines.etcd.messages import Changes, EtcdAway, EtcdError, Range, end_of
from discovery.engines.etcd.mirror import Mirror
from discovery.system.turns import turns

_log = logging.getLogger("discovery.etcd")

# Revisions behind from which on everything is read again: faster than 2,000 steps of history.
_TOO_FAR = 2000
_RETRY_SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0)
_LOST = "etcd has nothing of the registry: restore a backup, or begin it again with `discovery cluster begin` on this machine"


class Lost(EtcdError):
    """There is nothing to follow."""


@dataclass(eq=False)
class Following:
    """`silence`: seconds without a word from an endpoint until another is tried. `went_back`: sees to it that the index does not, with the
    revision of etcd now; Lost.
    """

    etcd: Etcd
    layout: Layout
    mirror: Mirror
    silence: Callable[[], float]
    went_back: Callable[[int], Awaitable[None]]

    def __post_init__(self) -> None:
        self._lost: str | None = None
        self._compacted = ""  # what the watch said when it could not go on

    @property
    def lost(self) -> str | None:
        """Why there is nothing to follow; None: there is."""
        return None if self.mirror.etcd else self._lost

    async def run(self) -> None:
        """For ever. The mirror was filled before."""
        failed = 0
        while True:
            try:
                if failed or not self.mirror.etcd:
                    await self._catch_up()
                async with aclosing(self._watched()) as watched:
                    async for changes in watched:
                        failed = 0
                        await self.mirror.take(changes)
                        await turns().over()  # many may have come at once
            except (EtcdError, EtcdAway) as error:
                failed += 1
                if failed == 1:
                    _log.warning(
                        "the watch of etcd ended: %(reason)s; this node answers from what it knows and tries again",
                        {"event": "etcd.away", "reason": str(error)},
                    )
                if isinstance(error, EtcdError) and error.is_compacted:
                    self._compacted = str(error)
                    continue  # at once, and followed at once: who is fresh again must not be blind
            await asyncio.sleep(_RETRY_SECONDS[min(failed, len(_RETRY_SECONDS)) - 1])

    def _watched(self) -> AsyncGenerator[Changes, None]:
        prefix = self.layout.prefix
        return self.etcd.watch(prefix, end_of(prefix), self.mirror.revision + 1, self.silence())

    async def _catch_up(self) -> None:
        """Proves that there is a quorum, and whether the watch can go on."""
        conf = await self.etcd.range(self.layout.conf)
        if await self._is_another(conf):
            await self.mirror.sync()
        elif self._compacted:
            await self._again(self._compacted)
        elif conf.revision - self.mirror.revision > _TOO_FAR:
            await self._again(f"{conf.revision - self.mirror.revision} revisions behind")
        self._compacted = ""

    async def _again(self, why: str) -> None:
        _log.warning("everything is read from etcd again: %(reason)s", {"event": "etcd.reading_again", "reason": why})
        await self.mirror.sync()

    async def _is_another(self, conf: Range) -> bool:
        """Whether etcd has gone back, or this node does not know which one it is. Lost."""
        mirror = self.mirror
        # By its revision alone it would not be seen once etcd has grown past what was known here.
        if conf.found and conf.revision >= mirror.revision and conf.etcd == mirror.etcd:
            return False
        if mirror.etcd:
            _log.error(
                "etcd has gone back: it is cluster %(etcd)s at revision %(revision)d, and was %(_was)s at %(known)d (an older copy was "
                "restored?)",
                {"event": "etcd.went_back", "revision": conf.revision, "known": mirror.revision, "etcd": conf.etcd, "_was": mirror.etcd},
            )  # fmt: skip
        mirror.etcd = ""
        if not conf.found:
            self._lose(_LOST)
        try:
            await self.went_back(conf.revision)
        except Lost as error:
            self._lose(str(error))
        return True

    def _lose(self, why: str) -> NoReturn:
        if self._lost != why:
            _log.error("%(reason)s; this node answers from what it knows", {"event": "etcd.lost", "reason": why})
        self._lost = why
        raise Lost(why)
