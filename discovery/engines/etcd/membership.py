"""What a node keeps in DATA_DIR of the registry that it belongs to: `cluster.json`, with what all nodes agree on and the last index here.

By it a node that starts refuses to serve another registry in its place, or an empty one, which would deny every name. And the index does
not go back when etcd was restored while no node ran, nor when nothing is left of it.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from discovery.core.errors import reason_of
from discovery.engines.etcd import conf as configuration
from discovery.engines.etcd.conf import Conf
from discovery.store.errors import EngineNotOpened
from discovery.system.in_place import write_in_place
from discovery.system.threads import in_daemon_thread

_log = logging.getLogger("discovery.etcd")

FILE = "cluster.json"
# Seconds between two looks whether there is something new to keep; of a crash that takes every node, the index of the last ones is lost.
_KEEP_SECONDS = 5.0
# Seconds that the end waits for a disk.
_LAST_SECONDS = 1.0


class Kept(NamedTuple):
    """`last`: an index that this node has had; at most some seconds old when the node was killed."""

    conf: Conf
    last: int


def read(folder: Path) -> Kept | None:
    """None where there is none. EngineNotOpened when it cannot be read: nobody knows then whether it is the right registry."""
    file = folder / FILE
    try:
        found = json.loads(file.read_bytes())
        return Kept(configuration.loads(json.dumps(found["conf"]).encode()), int(found["index"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EngineNotOpened(
            f"{file}: cannot be read ({error}), so it is not known which registry this node belongs to; where ENGINE_URL and ETCD_PREFIX "
            "are right, remove it"
        ) from None


def write(folder: Path, kept: Kept) -> None:
    """OSError."""
    content = {"index": kept.last, "conf": json.loads(kept.conf.dumps())}
    write_in_place(folder / FILE, json.dumps(content, indent=1).encode() + b"\n")


class Membership:
    """`folder` None: nothing is kept. `now`: what is to be kept."""

    def __init__(self, folder: Path | None, now: Callable[[], Kept]) -> None:
        self._folder = folder
        self._now = now
        self._kept: Kept | None = None
        self._refused: str | None = None
        self._writing = Lock()  # a thread that hangs may come back

    @property
    def file(self) -> Path:
        return (self._folder or Path()) / FILE

    async def read(self) -> Kept | None:
        """EngineNotOpened."""
        folder = self._folder
        if folder is not None:
            self._kept = await in_daemon_thread(lambda: read(folder))
        return self._kept

    async def keep(self) -> None:
        """What has changed, if anything has. A disk that refuses harms nothing now, and is named once."""
        folder, kept = self._folder, self._now()
        if folder is None or kept == self._kept:
            return
        try:
            await in_daemon_thread(lambda: self._write(folder, kept))
            self._kept, self._refused = kept, None
        except OSError as error:
            self._refuse(reason_of(error))

    async def run(self) -> None:
        """For ever."""
        while True:
            await self.keep()
            await asyncio.sleep(_KEEP_SECONDS)

    async def close(self) -> None:
        try:
            async with asyncio.timeout(_LAST_SECONDS):
                await self.keep()
        except TimeoutError:
            self._refuse(f"the disk has not answered for {_LAST_SECONDS:g} s")

    def _write(self, folder: Path, kept: Kept) -> None:
        with self._writing:
            write(folder, kept)

    def _refuse(self, reason: str) -> None:
        if reason != self._refused:
            self._refused = reason
            _log.warning(
                "%(file)s cannot be written, so the next start may not know which registry is its own: %(reason)s",
                {"event": "node.not_kept", "file": self.file, "reason": reason},
            )


def check(kept: Kept, found: Conf | None, file: Path, where: str) -> None:
    """EngineNotOpened unless it is the registry of this node. `where`: the etcd and the prefix."""
    mine = f"this node belongs to registry {kept.conf.cluster} ({file})"
    if found is None:
        raise EngineNotOpened(
            f"{where} has no registry, and {mine}: an empty one would deny every name. Is ENGINE_URL or ETCD_PREFIX wrong? Where etcd has "
            "lost everything, begin the registry again: `discovery cluster begin`, on this machine, with this DATA_DIR"
        )
    if found.cluster != kept.conf.cluster:
        raise EngineNotOpened(
            f"{where} has registry {found.cluster}, and {mine}. Is ENGINE_URL or ETCD_PREFIX wrong? Where this node is meant to "
            f"join that other registry, remove {file} and start it again"
        )
