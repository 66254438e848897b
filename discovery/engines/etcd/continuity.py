"""Whether etcd is still the one that this node knows, after the watch was broken: its revision, its cluster of members, its registry."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import NoReturn

from discovery.core.log_fields import fields
from discovery.engines.etcd.messages import EtcdError, Range

_log = logging.getLogger("discovery.etcd")

_LOST = "etcd has nothing of the registry: restore a backup, or begin it again with `discovery cluster begin` on this machine"


class Lost(EtcdError):
    """There is nothing to follow."""


class Continuity:
    """`went_back`: sees to it that the index does not, with the revision of etcd now; Lost. `lost`: why there is nothing to follow; None:
    there is.
    """

    def __init__(self, went_back: Callable[[int], Awaitable[None]]) -> None:
        self._went_back = went_back
        self.lost: str | None = None
        self._etcd = ""  # the id of the cluster of members; empty: all is to be read

    def begin(self, etcd: str) -> None:
        """All was read from that cluster of members."""
        self._etcd, self.lost = etcd, None

    async def is_broken(self, conf: Range, revision: int) -> bool:
        """Whether all is to be read again, for etcd has gone back; until `begin`. `revision`: up to which this node knows. Lost."""
        # By its revision alone it would not be seen once etcd has grown past what was known here.
        if conf.found and conf.revision >= revision and conf.etcd == self._etcd:
            return False
        if self._etcd:
            _log.error(
                "etcd has gone back: it is cluster %s at revision %d, and was %s at %d (an older copy was restored?)",
                conf.etcd, conf.revision, self._etcd, revision,
                extra=fields("etcd.went_back", revision=conf.revision, known=revision, etcd=conf.etcd),
            )  # fmt: skip
        self._etcd = ""
        if not conf.found:
            self._lose(_LOST)
        try:
            await self._went_back(conf.revision)
        except Lost as error:
            self._lose(str(error))
        return True

    def _lose(self, why: str) -> NoReturn:
        if self.lost != why:
            _log.error("%s; this node answers from what it knows", why, extra=fields("etcd.lost", reason=why))
        self.lost = why
        raise Lost(why)
